#include "fate.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "packet_port.h"

namespace nth {
namespace {

// The finaliser of splitmix64: every bit of the input changes every bit of the output.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

enum Purpose : uint64_t { kLoss, kBurst, kDuplicate, kCorrupt, kWhere, kReorder, kJitter, kPurposes };

uint16_t EtherType(const uint8_t* frame) { return static_cast<uint16_t>(frame[12] << 8 | frame[13]); }

// Where the payload of TCP or UDP begins, in the frame; 0 for anything else, and for fragments.
uint32_t PayloadStart(const uint8_t* frame, uint32_t length) {
  const uint8_t* ip = frame + kEthernetHeader;
  const bool v4 = EtherType(frame) == ETH_P_IP;
  const uint32_t header = v4 ? (ip[0] & 15u) * 4 : 40;
  if (length < kEthernetHeader + header + 20) return 0;
  if (v4 && ((ip[6] & 0x3f) != 0 || ip[7] != 0)) return 0;
  const uint8_t protocol = v4 ? ip[9] : ip[6];
  const uint32_t transport = kEthernetHeader + header;
  if (protocol == IPPROTO_UDP) return transport + 8;
  return protocol == IPPROTO_TCP ? transport + (frame[transport + 12] >> 4) * 4u : 0;
}

bool SwapWords(uint8_t* payload, uint32_t words, uint64_t where) {
  // From a random place on, the first neighbours that differ.
  for (uint32_t tried = 0; tried + 1 < words; tried++) {
    uint8_t* word = payload + 2 * ((where + tried) % (words - 1));
    if (memcmp(word, word + 2, 2) == 0) continue;
    std::swap_ranges(word, word + 2, word + 2);
    return true;
  }
  return false;
}

}  // namespace

Oracle::Oracle(uint64_t seed, uint64_t direction) : key_(Mix(Mix(seed) + direction)) {}

uint64_t Oracle::Bits(uint64_t purpose) const { return Mix(key_ ^ Mix(number_ * kPurposes + purpose)); }

double Oracle::Unit(uint64_t purpose) const { return static_cast<double>(Bits(purpose) >> 11) * 0x1p-53; }

Fate Oracle::Next(const Settings& settings) {
  Fate fate;
  fate.lost = Unit(kLoss) < settings.loss;
  // Bursts of n that together take the ratio r begin at a packet outside a burst with this chance.
  const double n = settings.burst_packets;
  const double begins = settings.burst / (n * (1 - settings.burst) + settings.burst);
  if (burst_left_ == 0 && settings.burst > 0 && Unit(kBurst) < begins) burst_left_ = settings.burst_packets;
  if (burst_left_ > 0) {
    burst_left_--;
    fate.lost_in_burst = true;
  }
  fate.duplicated = Unit(kDuplicate) < settings.duplicate;
  fate.corrupted = Unit(kCorrupt) < settings.corrupt;
  fate.damage = Bits(kWhere);
  fate.held_back = Unit(kReorder) < settings.reorder;
  fate.jitter = static_cast<int64_t>((2 * Unit(kJitter) - 1) * static_cast<double>(settings.jitter));
  number_++;
  return fate;
}

bool Damage(uint8_t* frame, uint32_t length, uint64_t where, bool hidden) {
  const uint32_t payload = PayloadStart(frame, length);
  if (hidden) return payload != 0 && payload + 4 <= length && SwapWords(frame + payload, (length - payload) / 2, where);
  const uint32_t from = kEthernetHeader + (EtherType(frame) == ETH_P_IP ? 20 : 40);
  if (length <= from) return false;
  const uint64_t bit = where % ((length - from) * 8ull);
  frame[from + bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
  return true;
}

bool IsNeighbourTraffic(const uint8_t* frame, uint32_t length) {
  const uint16_t type = EtherType(frame);
  const uint8_t* ip = frame + kEthernetHeader;
  if (type == ETH_P_IP && length >= kEthernetHeader + 20) return ip[16] == 224 && ip[17] == 0 && ip[18] == 0;
  if (type != ETH_P_IPV6 || length < kEthernetHeader + 44) return true;
  if (ip[24] == 0xff && (ip[25] & 15) == 2) return true;
  // Solicitations and advertisements of routers and neighbours, ICMPv6 types 133 to 136, to a single host.
  return ip[6] == IPPROTO_ICMPV6 && ip[40] >= 133 && ip[40] <= 136;
}

}  // namespace nth
