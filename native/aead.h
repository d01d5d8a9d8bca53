// One direction of one key of a channel (P7.3), by the OpenSSL that Node has in it: no library is linked.
#pragma once

#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace entremise {

// One thread at a time. The key is wiped when it goes away.
class Aead {
 public:
  enum class Suite : uint8_t { kAes128Gcm = 1, kChaCha20Poly1305 = 2 };
  enum class Use { kSeal, kOpen };
  static constexpr size_t kIvBytes = 12;

  // Null when a length is wrong, or OpenSSL has no such cipher.
  static std::unique_ptr<Aead> Create(Suite suite, Use use, const uint8_t* key, size_t key_bytes, const uint8_t* iv,
                                      size_t iv_bytes);
  ~Aead();
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;

  // In place. `header` is the packet's, in the clear; the tag is written to, or read from, behind the body.
  bool Seal(uint64_t counter, const uint8_t* header, uint8_t* body, size_t length);
  bool Open(uint64_t counter, const uint8_t* header, uint8_t* body, size_t length);

 private:
  explicit Aead(EVP_CIPHER_CTX* context) : context_(context) {}
  void NonceOf(uint64_t counter, uint8_t* nonce) const;

  EVP_CIPHER_CTX* context_;
  uint8_t iv_[kIvBytes] = {};
};

}  // namespace entremise
