// What becomes of a packet: decided by the seed, the direction and the packet's number alone, so that the same packets
// meet the same fate again. No sockets, no clock.
#pragma once

#include <cstdint>

namespace nth {

// What a direction does to packets; all off by default. Times in nanoseconds, ratios from 0 to 1.
struct Settings {
  int64_t delay = 0;
  int64_t jitter = 0;
  double loss = 0;
  double burst = 0;
  uint32_t burst_packets = 1;
  double duplicate = 0;
  int64_t duplicate_after = 0;
  double corrupt = 0;
  // The damage keeps TCP's and UDP's checksum right, so that it reaches the application.
  bool corrupt_hidden = false;
  double reorder = 0;
  int64_t reorder_by = 0;
  // Bits a second; 0 is no limit.
  int64_t rate = 0;
  uint32_t queue_packets = 0;
  int64_t queue_time = 0;
  // IP packets above this length vanish; 0 is no limit.
  uint32_t drop_longer_than = 0;
};

struct Fate {
  bool lost = false;
  bool lost_in_burst = false;
  bool corrupted = false;
  bool duplicated = false;
  bool held_back = false;
  // To be added to the delay, from -jitter to +jitter.
  int64_t jitter = 0;
  // Where the damage is done.
  uint64_t damage = 0;
};

class Oracle {
 public:
  Oracle(uint64_t seed, uint64_t direction);
  // The fate of the next packet.
  Fate Next(const Settings& settings);

 private:
  uint64_t key_;
  uint64_t number_ = 0;
  uint32_t burst_left_ = 0;

  uint64_t Bits(uint64_t purpose) const;
  double Unit(uint64_t purpose) const;
};

// Damages the IP packet of a frame. One bit somewhere behind the IP header, which a checksum notices; or, hidden, two
// 16-bit words of the payload change places, which it does not. False when there was nothing to damage.
bool Damage(uint8_t* frame, uint32_t length, uint64_t where, bool hidden);

// ARP, IPv6 neighbour discovery and what goes to the groups of a link: kernels send that by themselves, at moments of
// their own. It is left alone, or no seed would decide about the packets of a test, and a first packet could wait seconds.
bool IsNeighbourTraffic(const uint8_t* frame, uint32_t length);

}  // namespace nth
