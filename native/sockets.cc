// Theory of operation: how a number is held.
//
// A TCP number must be exclusive from Reserve on, and must be had again at once after a connection of
// it was closed actively (the kernel keeps that connection in TIME_WAIT for 60 s). SO_REUSEADDR decides
// both: two sockets that both have it may share a number as long as neither listens, and a socket in
// TIME_WAIT that had it does not block a binder that has it. So:
//   1. bind without it. That is the normal case, and the kernel never marks the number as sharable.
//   2. If that says EADDRINUSE, bind with it. Only TIME_WAIT sockets, or sockets that all share, let
//      that pass; a reservation never shares, because
//   3. it is switched off as soon as the number is bound.
// Whoever listens on the socket later, or closes a connection of it, switches it on just before (see
// reserved-socket.ts and watched-socket.ts): listen() checks the number again and would stumble over
// TIME_WAIT, and a TIME_WAIT socket inherits the flag for step 2 of the next one.
//
// A UDP number has no TIME_WAIT; it is bound without the flag, unless it is a group's or a broadcast's: each of those who
// have that gets every datagram, and the flag stays on, or whoever comes later could not have it (udp_scope.h).
//
// Port 0 is resolved first and then bound by its number: a number that the kernel chose at bind() is
// not locked (SOCK_BINDPORT_LOCK), and the kernel takes it away after a failed connect.
#include "sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace entremise {
namespace {

constexpr int kPickAttempts = 16;

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

struct Endpoint {
  Address address = {};
  socklen_t length = 0;

  int family() const { return address.any.sa_family; }
  void set_port(uint16_t port) {
    // sin_port and sin6_port lie at the same place, but say which one is meant.
    (family() == AF_INET ? address.v4.sin_port : address.v6.sin6_port) = htons(port);
  }
  uint16_t port() const {
    return ntohs(family() == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
  }
};

bool ZoneIndex(const std::string& zone, uint32_t* index) {
  *index = if_nametoindex(zone.c_str());
  if (*index != 0) return true;
  const char* end = zone.data() + zone.size();
  const auto parsed = std::from_chars(zone.data(), end, *index);
  return parsed.ec == std::errc() && parsed.ptr == end && *index != 0;
}

int ParseIpv6(const std::string& text, Endpoint* out) {
  const size_t percent = text.find('%');
  out->address.v6.sin6_family = AF_INET6;
  out->length = sizeof(out->address.v6);
  if (percent != std::string::npos &&
      !ZoneIndex(text.substr(percent + 1), &out->address.v6.sin6_scope_id)) {
    return ENODEV;
  }
  const bool ok = inet_pton(AF_INET6, text.substr(0, percent).c_str(), &out->address.v6.sin6_addr) == 1;
  return ok ? 0 : EINVAL;
}

int Parse(const std::string& text, uint16_t port, Endpoint* out) {
  int error = 0;
  // An embedded NUL would cut what the C functions see short of what was checked.
  if (text.find('\0') != std::string::npos) return EINVAL;
  if (inet_pton(AF_INET, text.c_str(), &out->address.v4.sin_addr) == 1) {
    out->address.v4.sin_family = AF_INET;
    out->length = sizeof(out->address.v4);
  } else {
    error = ParseIpv6(text, out);
  }
  if (error == 0) out->set_port(port);
  return error;
}

std::string Format(const Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN] = {};
  if (endpoint.family() == AF_INET) {
    inet_ntop(AF_INET, &endpoint.address.v4.sin_addr, text, sizeof(text));
    return text;
  }
  inet_ntop(AF_INET6, &endpoint.address.v6.sin6_addr, text, sizeof(text));
  const uint32_t zone = endpoint.address.v6.sin6_scope_id;
  if (zone == 0) return text;
  char name[IF_NAMESIZE] = {};
  const bool named = if_indextoname(zone, name) != nullptr;
  return std::string(text) + '%' + (named ? std::string(name) : std::to_string(zone));
}

int SetInt(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : errno;
}

int Open(Transport transport, int family, Fd* out) {
  const int type = transport == Transport::kTcp ? SOCK_STREAM : SOCK_DGRAM;
  Fd fd(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno;
  // Without it `::` would take the IPv4 number too.
  const int error = family == AF_INET6 ? SetInt(fd.number(), IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;
  if (error == 0) *out = std::move(fd);
  return error;
}

int Bind(int fd, const Endpoint& at) {
  return bind(fd, &at.address.any, at.length) == 0 ? 0 : errno;
}

int BindBesideTimeWait(int fd, const Endpoint& at) {
  int error = SetReuseAddress(fd, true);
  if (error == 0) error = Bind(fd, at);
  if (error == 0) error = SetReuseAddress(fd, false);
  return error;
}

int ReadBack(int fd, Endpoint* out) {
  out->length = sizeof(out->address);
  return getsockname(fd, &out->address.any, &out->length) == 0 ? 0 : errno;
}

int OpenScoped(Transport transport, int family, const UdpScope& scope, Fd* out) {
  const int error = Open(transport, family, out);
  return error != 0 || transport == Transport::kTcp ? error : ApplyScope(out->number(), family, scope);
}

// A number that was free a moment ago.
int PickNumber(Transport transport, const UdpScope& scope, Endpoint* at) {
  Fd probe;
  Endpoint got;
  int error = OpenScoped(transport, at->family(), scope, &probe);
  if (error == 0) error = Bind(probe.number(), *at);
  if (error == 0) error = ReadBack(probe.number(), &got);
  if (error == 0) at->set_port(got.port());
  return error;
}

int ReserveExactly(Transport transport, const Endpoint& at, const UdpScope& scope, BoundSocket* out) {
  Fd fd;
  Endpoint got;
  int error = OpenScoped(transport, at.family(), scope, &fd);
  if (error != 0) return error;
  error = Bind(fd.number(), at);
  if (error == EADDRINUSE && transport == Transport::kTcp) error = BindBesideTimeWait(fd.number(), at);
  if (error == 0 && scope.shared) error = JoinBoundGroup(fd.number(), at.address.any, scope);
  if (error == 0) error = ReadBack(fd.number(), &got);
  if (error != 0) return error;
  *out = BoundSocket{std::move(fd), Format(got), got.port()};
  return 0;
}

}  // namespace

int Reserve(Transport transport, const std::string& address, uint16_t port, const UdpScope& scope, BoundSocket* out) {
  Endpoint at;
  int error = Parse(address, port, &at);
  if (error != 0 || port != 0) return error != 0 ? error : ReserveExactly(transport, at, scope, out);
  for (int attempt = 0; attempt < kPickAttempts; attempt++) {
    at.set_port(0);
    error = PickNumber(transport, scope, &at);
    if (error == 0) error = ReserveExactly(transport, at, scope, out);
    // Somebody was faster between the probe and the bind.
    if (error != EADDRINUSE) return error;
  }
  return error;
}

int Duplicate(int fd, Fd* out) {
  Fd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return errno;
  *out = std::move(copy);
  return 0;
}

int Disconnect(int fd) {
  sockaddr unspecified = {};
  unspecified.sa_family = AF_UNSPEC;
  if (connect(fd, &unspecified, sizeof(unspecified)) != 0) return errno;
  // Ending a SYN_SENT leaves ECONNRESET behind, which the next connect() would report as its own.
  int pending = 0;
  return TakeSocketError(fd, &pending);
}

int SetReuseAddress(int fd, bool on) { return SetInt(fd, SOL_SOCKET, SO_REUSEADDR, on ? 1 : 0); }

int SetLingerZero(int fd) {
  const linger zero = {1, 0};
  return setsockopt(fd, SOL_SOCKET, SO_LINGER, &zero, sizeof(zero)) == 0 ? 0 : errno;
}

int ClearLinger(int fd) {
  const linger none = {0, 0};
  return setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)) == 0 ? 0 : errno;
}

int TakeSocketError(int fd, int* pending) {
  socklen_t length = sizeof(*pending);
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, pending, &length) == 0 ? 0 : errno;
}

int UnreadBytes(int fd, uint32_t* out) {
  int count = 0;
  if (ioctl(fd, FIONREAD, &count) != 0) return errno;
  *out = static_cast<uint32_t>(std::max(count, 0));
  return 0;
}

int ReadNow(int fd, uint8_t* buffer, size_t capacity, size_t* got) {
  ssize_t count = 0;
  do {
    count = recv(fd, buffer, capacity, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  *got = count > 0 ? static_cast<size_t>(count) : 0;
  if (count >= 0 || errno == EAGAIN) return 0;
  // These say that the connection is dead, which is how a caller gets here.
  return errno == ECONNRESET || errno == ENOTCONN || errno == ETIMEDOUT ? 0 : errno;
}

}  // namespace entremise
