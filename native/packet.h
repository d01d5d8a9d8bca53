// The header of a packet of a UDP channel (P7.2). Held to the same vectors as src/wire/packet.ts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace entremise {

constexpr size_t kHeaderBytes = 16;
constexpr size_t kTagBytes = 16;
constexpr size_t kOverheadBytes = kHeaderBytes + kTagBytes;
constexpr uint8_t kPacketVersion = 1;
constexpr uint64_t kMaxPacketsPerKey = uint64_t{1} << 30;

constexpr uint8_t kDatagram = 0x01;
constexpr uint8_t kPart = 0x02;
constexpr uint8_t kBundle = 0x0c;
constexpr uint8_t kLastKind = kBundle;

// id u32 · index u8, in front of half of a datagram's body.
constexpr size_t kPartHeadBytes = 5;

inline void WriteU32(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 24);
  at[1] = static_cast<uint8_t>(value >> 16);
  at[2] = static_cast<uint8_t>(value >> 8);
  at[3] = static_cast<uint8_t>(value);
}
inline uint32_t ReadU32(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) << 24 | static_cast<uint32_t>(at[1]) << 16 |
         static_cast<uint32_t>(at[2]) << 8 | at[3];
}

struct PacketHeader {
  uint8_t kind = 0;
  uint8_t epoch = 0;
  uint32_t cid = 0;
  uint64_t counter = 0;
};

inline void WriteHeader(const PacketHeader& header, uint8_t* at) {
  at[0] = header.kind;
  at[1] = header.epoch;
  at[2] = kPacketVersion;
  at[3] = 0;
  WriteU32(at + 4, header.cid);
  WriteU32(at + 8, static_cast<uint32_t>(header.counter >> 32));
  WriteU32(at + 12, static_cast<uint32_t>(header.counter));
}

// False for what is no packet of this version: nobody answers that.
inline bool ReadHeader(const uint8_t* packet, size_t length, PacketHeader* out) {
  if (length < kOverheadBytes) return false;
  if (packet[0] < kDatagram || packet[0] > kLastKind || packet[2] != kPacketVersion || packet[3] != 0) return false;
  out->counter = static_cast<uint64_t>(ReadU32(packet + 8)) << 32 | ReadU32(packet + 12);
  if (out->counter >= kMaxPacketsPerKey) return false;
  out->kind = packet[0];
  out->epoch = packet[1];
  out->cid = ReadU32(packet + 4);
  return true;
}

}  // namespace entremise
