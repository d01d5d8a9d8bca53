#include "network_watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>

namespace entremise {
namespace {

constexpr unsigned kGroups =
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;

// Messages that are thrown away in one turn of the loop: others want their turn, too.
constexpr int kMostInATurn = 256;

}  // namespace

int NetworkWatch::Start(uv_loop_t* loop, Callback callback, NetworkWatch** out) {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket.valid()) return errno;
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kGroups;
  if (bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return errno;
  auto* watch = new NetworkWatch(std::move(socket), std::move(callback));
  const int error = watch->StartPolling(loop, UV_READABLE);
  if (error == 0) *out = watch;
  return error;
}

void NetworkWatch::OnReady() {
  if (Drain()) callback_();
}

bool NetworkWatch::Drain() {
  bool told = false;
  for (int count = 0; count < kMostInATurn; count++) {
    // The kernel drops the rest of a message that does not fit.
    char head[sizeof(nlmsghdr)];
    const ssize_t got = recv(fd(), head, sizeof(head), MSG_DONTWAIT);
    // There was more than the kernel keeps for us: something has changed for sure.
    if (got < 0 && errno != ENOBUFS && errno != EINTR) return told;
    told = told || got >= 0 || errno == ENOBUFS;
  }
  return told;
}

}  // namespace entremise
