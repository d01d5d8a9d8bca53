// sources: aead.cc
// What comes to a door: headers, sealed bodies, replays, epochs (native/channel_seal.h), and the bodies of datagrams, alone and
// in one packet with others (native/bundle.h).
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../bundle.h"
#include "../channel_seal.h"
#include "../datagram_body.h"
#include "check.h"

namespace {

using namespace entremise;

std::unique_ptr<Aead> Key(Aead::Suite suite, Aead::Use use) {
  const uint8_t key[32] = {7};
  const uint8_t iv[Aead::kIvBytes] = {9};
  return Aead::Create(suite, use, key, suite == Aead::Suite::kAes128Gcm ? 16 : 32, iv, sizeof(iv));
}

void ReadBody(uint8_t* body, size_t length) {
  Datagram datagram;
  if (!ReadDatagram(body, length, &datagram)) return;
  Check(datagram.bytes + datagram.length == body + length);
  std::vector<uint8_t> again(length);
  WriteU32(again.data(), datagram.route);
  uint8_t* at = datagram.peer.Write(again.data() + kRouteBytes);
  memcpy(at, datagram.bytes, datagram.length);
  Check(memcmp(again.data(), body, length) == 0);
}

// What is read is written as it was; what is not read has called nobody.
void ReadBundled(uint8_t* body, size_t length) {
  std::vector<uint8_t> again(length + kBundledLengthBytes);
  Bundle bundle;
  bundle.body = again.data();
  bundle.taken = length;
  const bool whole = ReadBundle(body, length, [&bundle](const uint8_t* one, size_t bytes) {
    Check(bundle.Fits(bytes));
    bundle.Add(one, bytes);
  });
  Check(whole ? bundle.count >= 2 && bundle.length == length : bundle.count == 0);
  Check(memcmp(again.data(), body, bundle.length) == 0);
}

void OpenRaw(ChannelOpener* opener, std::vector<uint8_t> packet) {
  PacketHeader header;
  if (!ReadHeader(packet.data(), packet.size(), &header)) return;
  uint8_t again[kHeaderBytes];
  WriteHeader(header, again);
  Check(memcmp(again, packet.data(), kHeaderBytes) == 0);
  // Nobody guesses a tag of 16 bytes.
  Check(opener->Open(header, packet.data(), packet.size(), 0) != Opened::kDone);
}

void OpenSealed(ChannelSealer* sealer, ChannelOpener* opener, const uint8_t* body, size_t length) {
  std::vector<uint8_t> packet(kOverheadBytes + length);
  memcpy(packet.data() + kHeaderBytes, body, length);
  Check(sealer->Seal(kDatagram, 5, packet.data() + kHeaderBytes, length));
  std::vector<uint8_t> copy = packet;
  PacketHeader header;
  Check(ReadHeader(packet.data(), packet.size(), &header));
  Check(opener->Open(header, packet.data(), packet.size(), 0) == Opened::kDone);
  Check(memcmp(packet.data() + kHeaderBytes, body, length) == 0);
  ReadBody(packet.data() + kHeaderBytes, length);
  ReadBundled(packet.data() + kHeaderBytes, length);
  Check(opener->Open(header, copy.data(), copy.size(), 0) == Opened::kReplayed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const auto suite = (data[0] & 1) != 0 ? Aead::Suite::kAes128Gcm : Aead::Suite::kChaCha20Poly1305;
  ChannelSealer sealer;
  sealer.Install(1, Key(suite, Aead::Use::kSeal));
  ChannelOpener opener(0, Key(suite, Aead::Use::kOpen), 10'000);
  opener.Await(1, Key(suite, Aead::Use::kOpen));
  OpenRaw(&opener, std::vector<uint8_t>(data + 1, data + size));
  OpenSealed(&sealer, &opener, data + 1, size - 1);
  Check(opener.epoch() == 1);
  return 0;
}
