// One direction of an impaired link: takes frames, holds them as long as they are under way, gives them when due.
#pragma once

#include <cstdio>
#include <deque>
#include <vector>

#include "fate.h"
#include "packet_port.h"

namespace nth {

struct Counters {
  uint64_t arrived = 0;
  uint64_t arrived_bytes = 0;
  uint64_t delivered = 0;
  uint64_t delivered_bytes = 0;
  uint64_t lost = 0;
  uint64_t lost_in_bursts = 0;
  uint64_t too_long = 0;
  uint64_t queue_full = 0;
  uint64_t corrupted = 0;
  uint64_t duplicated = 0;
  uint64_t reordered = 0;
  uint64_t neighbour = 0;
  // More than the program may hold in memory, or not taken by the kernel.
  uint64_t overflowed = 0;
};

class Line {
 public:
  Line(uint64_t seed, uint64_t direction) : oracle_(seed, direction) {}

  Settings settings;

  void Take(const Arrived& arrived);
  // When the next frame is due; INT64_MAX when none is held.
  Nanos NextDue() const;
  // Sends what is due.
  void Deliver(Nanos now, PacketPort* port);
  // `overrun`: what the port lost before it came here.
  void Print(FILE* out, uint64_t overrun) const;

 private:
  struct Held {
    Nanos due;
    uint64_t order;
    Frame frame;
    // For a heap whose top is the earliest, and of those the first that came.
    bool operator<(const Held& other) const {
      return due != other.due ? due > other.due : order > other.order;
    }
  };

  Oracle oracle_;
  Counters counters_;
  std::vector<Held> heap_;
  uint64_t held_bytes_ = 0;
  uint64_t order_ = 0;
  // The rate limit: when each packet in its queue will have left, and so when the wire is free again.
  std::deque<Nanos> departures_;
  Nanos wire_free_ = 0;
  Nanos last_due_ = 0;

  bool Depart(Nanos arrived, uint32_t bytes, Nanos* departed);
  void Hold(Nanos due, Frame frame);
  void CountSent(uint32_t length);
};

}  // namespace nth
