#include "udp_scope.h"

#include <net/if.h>

#include <cerrno>

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

namespace entremise {
namespace {

constexpr int kHops = 1;

template <typename T>
int Set(int fd, int level, int name, const T& value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : errno;
}

int SendGroupsBy(int fd, int family, unsigned index) {
  const int out = static_cast<int>(index);
  if (family == AF_INET6) {
    int error = Set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, out);
    if (error == 0) error = Set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
    if (error == 0) error = Set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, kHops);
    return error;
  }
  ip_mreqn by = {};
  by.imr_ifindex = out;
  int error = Set(fd, IPPROTO_IP, IP_MULTICAST_IF, by);
  if (error == 0) error = Set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
  if (error == 0) error = Set(fd, IPPROTO_IP, IP_MULTICAST_TTL, kHops);
  return error;
}

int Share(int fd, const std::string& interface) {
  const int error = Set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (error != 0) return error;
  const auto length = static_cast<socklen_t>(interface.size());
  return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(), length) == 0 ? 0 : errno;
}

}  // namespace

int ApplyScope(int fd, int family, const UdpScope& scope) {
  // Older kernels lack it for IPv6 and have nothing in its place, as qemu-user has not for IPv4 either.
  if (family == AF_INET6) Set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
  const int error = family == AF_INET ? Set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) : 0;
  if (error != 0 && error != ENOPROTOOPT) return error;
  if (scope.interface.empty()) return 0;
  const unsigned index = if_nametoindex(scope.interface.c_str());
  if (index == 0) return ENODEV;
  const int refused = SendGroupsBy(fd, family, index);
  return refused != 0 || !scope.shared ? refused : Share(fd, scope.interface);
}

int JoinBoundGroup(int fd, const sockaddr& bound, const UdpScope& scope) {
  const int index = static_cast<int>(if_nametoindex(scope.interface.c_str()));
  if (bound.sa_family == AF_INET6) {
    const auto& group = reinterpret_cast<const sockaddr_in6&>(bound).sin6_addr;
    if (!IN6_IS_ADDR_MULTICAST(&group)) return 0;
    ipv6_mreq member = {};
    member.ipv6mr_multiaddr = group;
    member.ipv6mr_interface = static_cast<unsigned>(index);
    return Set(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, member);
  }
  const auto& group = reinterpret_cast<const sockaddr_in&>(bound).sin_addr;
  if (!IN_MULTICAST(ntohl(group.s_addr))) return 0;
  ip_mreqn member = {};
  member.imr_multiaddr = group;
  member.imr_ifindex = index;
  return Set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, member);
}

}  // namespace entremise
