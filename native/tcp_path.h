// What TCP is told of a connection, and what it tells. Plain C++: no N-API, no state, callable from any thread.
// Every failure is an errno (0 = done); nothing throws.
#pragma once

#include <cstdint>

namespace entremise {

// What TCP_INFO says; fields that the running kernel does not know are 0.
struct TcpInfo {
  uint8_t state = 0;  // 1 ESTABLISHED ... 7 CLOSE, 8 CLOSE_WAIT
  uint8_t retransmits = 0;
  uint32_t rtt_us = 0;
  uint32_t rtt_var_us = 0;
  uint32_t min_rtt_us = 0;
  uint32_t unacked_segments = 0;
  uint32_t not_sent_bytes = 0;
  uint32_t since_ack_ms = 0;  // since the last acknowledgement came
  uint32_t total_retransmits = 0;
  uint64_t pacing_rate = 0;    // bytes a second that it means to send
  uint64_t busy_us = 0;        // how long in all something was under way
  uint64_t delivery_rate = 0;  // bytes a second at which the last of what it sent arrived
  uint64_t bytes_acked = 0;
  uint64_t bytes_received = 0;
};

// The socket is writable only while less than `bytes` are unsent.
int SetNotSentLowat(int fd, uint32_t bytes);
// Unacknowledged data this old kills the connection.
int SetUserTimeout(int fd, uint32_t milliseconds);
// What is not acknowledged is sent again no later than this.
int SetRetransmitMax(int fd, uint32_t milliseconds);
int SetKeepAlive(int fd, uint32_t idle_s, uint32_t interval_s, uint32_t count);

// TCP_CONGESTION bbr.
int UseBbr(int fd);

// Has BBR forget what it believes of the path, and begin anew.
int RestartBbr(int fd);

// The kernel sends no faster than that; 0xffffffff: as fast as it can.
int SetPacingRate(int fd, uint32_t bytes_per_second);

// What was written and not sent even once.
int UnsentBytes(int fd, uint32_t* out);

int GetTcpInfo(int fd, TcpInfo* out);

}  // namespace entremise
