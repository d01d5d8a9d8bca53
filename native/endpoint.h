// An address and a number, as packets have them (P7.2) and as the kernel has them. Plain values, any thread.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>

namespace entremise {

// `family` is 4, 6 or 0 (none). Unused bytes of the address are 0, so that equal endpoints are equal bytes.
struct Address {
  uint8_t bytes[16] = {};
  uint8_t family = 0;

  size_t length() const { return family == 4 ? 4 : 16; }
  bool operator==(const Address& other) const {
    return family == other.family && memcmp(bytes, other.bytes, sizeof(bytes)) == 0;
  }
};

struct Endpoint {
  Address address;
  uint16_t number = 0;

  bool known() const { return address.family != 0; }
  bool operator==(const Endpoint& other) const { return number == other.number && address == other.address; }
  bool operator!=(const Endpoint& other) const { return !(*this == other); }

  // family u8 · address · number u16
  size_t WireBytes() const { return 3 + address.length(); }
  uint8_t* Write(uint8_t* at) const {
    *at++ = address.family;
    memcpy(at, address.bytes, address.length());
    at += address.length();
    *at++ = static_cast<uint8_t>(number >> 8);
    *at++ = static_cast<uint8_t>(number);
    return at;
  }
  // How many bytes it took, 0 when there is none.
  static size_t Read(const uint8_t* at, size_t left, Endpoint* out) {
    if (left < 7 || (at[0] != 4 && at[0] != 6)) return 0;
    Endpoint read;
    read.address.family = at[0];
    const size_t bytes = read.WireBytes();
    if (left < bytes) return 0;
    memcpy(read.address.bytes, at + 1, read.address.length());
    read.number = static_cast<uint16_t>(at[bytes - 2] << 8 | at[bytes - 1]);
    *out = read;
    return bytes;
  }
};

struct EndpointHash {
  size_t operator()(const Endpoint& endpoint) const {
    uint64_t words[2];
    memcpy(words, endpoint.address.bytes, sizeof(words));
    uint64_t mixed = (words[0] ^ endpoint.number ^ endpoint.address.family) * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 29) ^ words[1]) * 0xbf58476d1ce4e5b9u;
    return static_cast<size_t>(mixed ^ (mixed >> 32));
  }
};

constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

inline Address AddressOf(const in_addr& from) {
  Address address;
  address.family = 4;
  memcpy(address.bytes, &from, 4);
  return address;
}

// IPv4 without its IPv6 mapping.
inline Address AddressOf(const in6_addr& from) {
  Address address;
  if (memcmp(&from, kMappedPrefix, sizeof(kMappedPrefix)) == 0) {
    address.family = 4;
    memcpy(address.bytes, from.s6_addr + 12, 4);
  } else {
    address.family = 6;
    memcpy(address.bytes, &from, 16);
  }
  return address;
}

inline in6_addr Mapped(const Address& address) {
  in6_addr out;
  if (address.family == 4) {
    memcpy(&out, kMappedPrefix, sizeof(kMappedPrefix));
    memcpy(out.s6_addr + 12, address.bytes, 4);
  } else {
    memcpy(&out, address.bytes, 16);
  }
  return out;
}

inline bool IsLinkLocal(const Address& address) {
  return address.family == 6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

inline Endpoint EndpointOf(const sockaddr_storage& from) {
  Endpoint endpoint;
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    endpoint.address = AddressOf(v4.sin_addr);
    endpoint.number = ntohs(v4.sin_port);
  } else if (from.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    endpoint.address = AddressOf(v6.sin6_addr);
    endpoint.number = ntohs(v6.sin6_port);
  }
  return endpoint;
}

// As a socket of that family takes it; 0 when it cannot. `scope` is for link-local addresses.
inline socklen_t ToSocket(const Endpoint& endpoint, int socket_family, uint32_t scope, sockaddr_storage* out) {
  if (socket_family == AF_INET) {
    if (endpoint.address.family != 4) return 0;
    auto* v4 = reinterpret_cast<sockaddr_in*>(out);
    *v4 = {};
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.number);
    memcpy(&v4->sin_addr, endpoint.address.bytes, 4);
    return sizeof(sockaddr_in);
  }
  if (!endpoint.known()) return 0;
  auto* v6 = reinterpret_cast<sockaddr_in6*>(out);
  *v6 = {};
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(endpoint.number);
  v6->sin6_addr = Mapped(endpoint.address);
  if (IsLinkLocal(endpoint.address)) v6->sin6_scope_id = scope;
  return sizeof(sockaddr_in6);
}

}  // namespace entremise
