// What only netlink tells of the machine's network. Plain C++: no N-API, no state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace entremise {

// An entry of the kernel's neighbour table (ARP, IPv6 ND).
struct Neighbour {
  std::string interface;
  // 4 or 16 bytes.
  std::vector<uint8_t> address;
  // Empty while it is not known.
  std::vector<uint8_t> hardware_address;
  // NUD_* of <linux/neighbour.h>.
  uint16_t state = 0;
};

// The neighbours of both families, at most `most`. 0 or an errno. Needs no privilege and does not wait.
int ListNeighbours(size_t most, std::vector<Neighbour>* neighbours);

}  // namespace entremise
