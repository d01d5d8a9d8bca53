// Several datagrams in one packet (P7.2): length u16 · body of a datagram, one behind the other, two or more. Plain memory, one
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "datagram_body.h"

namespace entremise {

constexpr size_t kBundledLengthBytes = 2;
// Of a BUNDLE's body: that of a packet as long as PROBE.
constexpr size_t kLongestBundle = 1200 - kOverheadBytes;

// Calls `each(body, length)` for every body of a BUNDLE's. False, and none is called, when it is laid out otherwise.
template <typename Each>
bool ReadBundle(uint8_t* bundle, size_t length, const Each& each) {
  const auto bytes_at = [bundle](size_t at) { return static_cast<size_t>(bundle[at] << 8 | bundle[at + 1]); };
  if (length > kLongestBundle) return false;
  size_t count = 0;
  for (size_t at = 0; at < length; count++) {
    Datagram datagram;
    if (length - at < kBundledLengthBytes) return false;
    const size_t bytes = bytes_at(at);
    at += kBundledLengthBytes;
    if (bytes > length - at || !ReadDatagram(bundle + at, bytes, &datagram)) return false;
    at += bytes;
  }
  if (count < 2) return false;
  for (size_t at = 0; at < length;) {
    const size_t bytes = bytes_at(at);
    at += kBundledLengthBytes;
    each(bundle + at, bytes);
    at += bytes;
  }
  return true;
}

// Where bundles are put together. What stands in it stays until Clear.
class BundleMemory {
 public:
  static constexpr size_t kBytes = 128 * 1024;

  // Room for `bytes` with a header in front and a tag behind; null when there is none left.
  uint8_t* Take(size_t bytes) {
    if (used_ + kOverheadBytes + bytes > kBytes) return nullptr;
    uint8_t* body = memory_.get() + used_ + kHeaderBytes;
    used_ += kOverheadBytes + bytes;
    return body;
  }
  // Of what was taken for `body` so much is used. The rest is free again where nothing was taken since: packets of one
  // channel then stand one behind the other, as the kernel likes them.
  void Trim(const uint8_t* body, size_t taken, size_t used) {
    if (body + taken + kTagBytes == memory_.get() + used_) used_ -= taken - used;
  }
  void Clear() { used_ = 0; }

 private:
  // Not written before it is used: an idle relay has none of its pages.
  std::unique_ptr<uint8_t[]> memory_{new uint8_t[kBytes]};
  size_t used_ = 0;
};

// What a channel has gathered in this turn.
struct Bundle {
  uint8_t* body = nullptr;
  size_t taken = 0;
  size_t length = 0;
  size_t count = 0;

  bool Fits(size_t bytes) const { return body != nullptr && length + kBundledLengthBytes + bytes <= taken; }
  void Add(const uint8_t* bytes, size_t added) {
    body[length] = static_cast<uint8_t>(added >> 8);
    body[length + 1] = static_cast<uint8_t>(added);
    memcpy(body + length + kBundledLengthBytes, bytes, added);
    length += kBundledLengthBytes + added;
    count++;
  }
};

}  // namespace entremise
