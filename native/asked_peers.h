// Datagrams of one port that wait until somebody has said whether their peers may be sent to (P5.9): in order for each peer,
// so that what comes once it is said overtakes nothing. Bounded. Plain memory, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "endpoint.h"

namespace entremise {

class AskedPeers {
 public:
  using Datagrams = std::deque<std::vector<uint8_t>>;

  static constexpr size_t kMostPeers = 256;
  static constexpr size_t kMostEach = 64;
  // Of all peers together.
  static constexpr size_t kMostBytes = 128 * 1024;

  bool Knows(const Endpoint& peer) const { return waiting_.find(peer) != waiting_.end(); }

  // False when there is no room.
  bool Keep(const Endpoint& peer, std::vector<uint8_t> datagram) {
    const auto found = waiting_.find(peer);
    const bool is_full = found == waiting_.end() ? waiting_.size() >= kMostPeers : found->second.size() >= kMostEach;
    if (is_full || bytes_ + datagram.size() > kMostBytes) return false;
    bytes_ += datagram.size();
    waiting_[peer].push_back(std::move(datagram));
    return true;
  }

  // What waits for that peer, no more asked about.
  Datagrams Take(const Endpoint& peer) {
    const auto found = waiting_.find(peer);
    if (found == waiting_.end()) return {};
    Datagrams taken = std::move(found->second);
    waiting_.erase(found);
    for (const auto& each : taken) bytes_ -= each.size();
    return taken;
  }

 private:
  std::unordered_map<Endpoint, Datagrams, EndpointHash> waiting_;
  size_t bytes_ = 0;
};

}  // namespace entremise
