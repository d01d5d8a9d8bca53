#include "aead.h"

#include <openssl/crypto.h>

#include <climits>
#include <cstring>

#include "packet.h"

namespace entremise {

std::unique_ptr<Aead> Aead::Create(Suite suite, Use use, const uint8_t* key, size_t key_bytes, const uint8_t* iv,
                                   size_t iv_bytes) {
  const EVP_CIPHER* cipher = suite == Suite::kAes128Gcm ? EVP_aes_128_gcm() : EVP_chacha20_poly1305();
  const size_t wanted = suite == Suite::kAes128Gcm ? 16 : 32;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  if (context == nullptr) return nullptr;
  std::unique_ptr<Aead> aead(new Aead(context));
  if (key_bytes != wanted || iv_bytes != kIvBytes) return nullptr;
  memcpy(aead->iv_, iv, kIvBytes);
  const int sealing = use == Use::kSeal ? 1 : 0;
  if (EVP_CipherInit_ex(context, cipher, nullptr, key, iv, sealing) != 1) return nullptr;
  return aead;
}

Aead::~Aead() {
  EVP_CIPHER_CTX_free(context_);
  OPENSSL_cleanse(iv_, sizeof(iv_));
}

// The IV, its last 8 bytes XORed with the counter (as RFC 8446 §5.3).
void Aead::NonceOf(uint64_t counter, uint8_t* nonce) const {
  memcpy(nonce, iv_, kIvBytes);
  for (int byte = 0; byte < 8; byte++) nonce[kIvBytes - 1 - byte] ^= static_cast<uint8_t>(counter >> (8 * byte));
}

bool Aead::Seal(uint64_t counter, const uint8_t* header, uint8_t* body, size_t length) {
  uint8_t nonce[kIvBytes];
  int written = 0;
  if (length > INT_MAX) return false;
  NonceOf(counter, nonce);
  return EVP_EncryptInit_ex(context_, nullptr, nullptr, nullptr, nonce) == 1 &&
         EVP_EncryptUpdate(context_, nullptr, &written, header, kHeaderBytes) == 1 &&
         EVP_EncryptUpdate(context_, body, &written, body, static_cast<int>(length)) == 1 &&
         EVP_EncryptFinal_ex(context_, body + length, &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, kTagBytes, body + length) == 1;
}

bool Aead::Open(uint64_t counter, const uint8_t* header, uint8_t* body, size_t length) {
  uint8_t nonce[kIvBytes];
  int written = 0;
  if (length > INT_MAX) return false;
  NonceOf(counter, nonce);
  return EVP_DecryptInit_ex(context_, nullptr, nullptr, nullptr, nonce) == 1 &&
         EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG, kTagBytes, body + length) == 1 &&
         EVP_DecryptUpdate(context_, nullptr, &written, header, kHeaderBytes) == 1 &&
         EVP_DecryptUpdate(context_, body, &written, body, static_cast<int>(length)) == 1 &&
         EVP_DecryptFinal_ex(context_, body + length, &written) == 1;
}

}  // namespace entremise
