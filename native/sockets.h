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

// Binds `port` of `address` (literal, IPv6 with optional %zone) so that nobody else can have it.
// Port 0 picks a free number. See the theory of operation in sockets.cc. `scope` is of UDP; a shared number is not one's own.
int Reserve(Transport transport, const std::string& address, uint16_t port, const UdpScope& scope, BoundSocket* out);

int Duplicate(int fd, Fd* out);

// Takes a failed or unfinished connect() back: the socket is as fresh as after Reserve, number kept.
int Disconnect(int fd);

int SetReuseAddress(int fd, bool on);
int SetLingerZero(int fd);
int ClearLinger(int fd);

// SO_ERROR into *pending (0 = none). Reading clears it.
int TakeSocketError(int fd, int* pending);

// Bytes that have arrived in order and were not read.
int UnreadBytes(int fd, uint32_t* out);

// Reads without waiting. *got = 0: nothing (EOF, or nothing there, or a dead socket with nothing left).
int ReadNow(int fd, uint8_t* buffer, size_t capacity, size_t* got);

}  // namespace entremise
