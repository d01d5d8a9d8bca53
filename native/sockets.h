// Socket calls that Node does not offer. Plain C++: no N-API, no state, callable from any thread.
// Every failure is an errno (0 = done); nothing throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "fd.h"
#include "udp_scope.h"

namespace entremise {

enum class Transport { kTcp, kUdp };

// A socket that holds a number: not listening, not connected.
struct BoundSocket {
  Fd fd;
  std::string address;  // as the kernel has it; link-local IPv6 with %zone
  uint16_t port = 0;
};

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

// Binds `port` of `address` (literal, IPv6 with optional %zone) so that nobody else can have it.
// Port 0 picks a free number. See the theory of operation in sockets.cc. `scope` is of UDP; a shared number is not one's own.
int Reserve(Transport transport, const std::string& address, uint16_t port, const UdpScope& scope, BoundSocket* out);

int Duplicate(int fd, Fd* out);

// Takes a failed or unfinished connect() back: the socket is as fresh as after Reserve, number kept.
int Disconnect(int fd);

int SetReuseAddress(int fd, bool on);
int SetLingerZero(int fd);
int ClearLinger(int fd);
int SetNotSentLowat(int fd, uint32_t bytes);
int SetUserTimeout(int fd, uint32_t milliseconds);
int SetRetransmitMax(int fd, uint32_t milliseconds);

// TCP_CONGESTION bbr.
int UseBbr(int fd);

// The kernel sends no faster than that; 0xffffffff: as fast as it can.
int SetPacingRate(int fd, uint32_t bytes_per_second);

// Has BBR forget what it believes of the path, and begin anew.
int RestartBbr(int fd);
int SetKeepAlive(int fd, uint32_t idle_s, uint32_t interval_s, uint32_t count);

// SO_ERROR into *pending (0 = none). Reading clears it.
int TakeSocketError(int fd, int* pending);

// Bytes that have arrived in order and were not read.
int UnreadBytes(int fd, uint32_t* out);

// Reads without waiting. *got = 0: nothing (EOF, or nothing there, or a dead socket with nothing left).
int ReadNow(int fd, uint8_t* buffer, size_t capacity, size_t* got);

int GetTcpInfo(int fd, TcpInfo* out);

}  // namespace entremise
