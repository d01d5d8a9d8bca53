#include "tcp_path.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace entremise {
namespace {

int SetInt(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : errno;
}

int SetClamped(int fd, int option, uint32_t value) {
  return SetInt(fd, IPPROTO_TCP, option, static_cast<int>(std::min(value, uint32_t{INT32_MAX})));
}

int SetCongestionControl(int fd, std::string_view name) {
  return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), name.size()) == 0 ? 0 : errno;
}

}  // namespace

int SetNotSentLowat(int fd, uint32_t bytes) { return SetClamped(fd, TCP_NOTSENT_LOWAT, bytes); }

int SetUserTimeout(int fd, uint32_t milliseconds) { return SetClamped(fd, TCP_USER_TIMEOUT, milliseconds); }

// TCP_RTO_MAX_MS of Linux 6.15, which C libraries have not heard of.
constexpr int kTcpRtoMaxMs = 44;

int SetRetransmitMax(int fd, uint32_t milliseconds) { return SetClamped(fd, kTcpRtoMaxMs, milliseconds); }

int UseBbr(int fd) { return SetCongestionControl(fd, "bbr"); }

int SetPacingRate(int fd, uint32_t bytes_per_second) {
  return setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &bytes_per_second, sizeof(bytes_per_second)) == 0 ? 0 : errno;
}

int RestartBbr(int fd) {
  // The kernel does nothing when asked for what it has. Reno is in every kernel.
  const int error = SetCongestionControl(fd, "reno");
  return error != 0 ? error : UseBbr(fd);
}

int SetKeepAlive(int fd, uint32_t idle_s, uint32_t interval_s, uint32_t count) {
  int error = SetClamped(fd, TCP_KEEPIDLE, idle_s);
  if (error == 0) error = SetClamped(fd, TCP_KEEPINTVL, interval_s);
  if (error == 0) error = SetClamped(fd, TCP_KEEPCNT, count);
  if (error == 0) error = SetInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  return error;
}

int UnsentBytes(int fd, uint32_t* out) {
  int count = 0;
  if (ioctl(fd, SIOCOUTQNSD, &count) != 0) return errno;
  *out = static_cast<uint32_t>(std::max(count, 0));
  return 0;
}

int GetTcpInfo(int fd, TcpInfo* out) {
  tcp_info info = {};
  socklen_t length = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return errno;
  out->state = info.tcpi_state;
  out->retransmits = info.tcpi_retransmits;
  out->rtt_us = info.tcpi_rtt;
  out->rtt_var_us = info.tcpi_rttvar;
  out->min_rtt_us = info.tcpi_min_rtt;
  out->unacked_segments = info.tcpi_unacked;
  out->not_sent_bytes = info.tcpi_notsent_bytes;
  out->since_ack_ms = info.tcpi_last_ack_recv;
  out->total_retransmits = info.tcpi_total_retrans;
  out->pacing_rate = info.tcpi_pacing_rate;
  out->delivery_rate = info.tcpi_delivery_rate;
  out->busy_us = info.tcpi_busy_time;
  out->bytes_acked = info.tcpi_bytes_acked;
  out->bytes_received = info.tcpi_bytes_received;
  return 0;
}

}  // namespace entremise
