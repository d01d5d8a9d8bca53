// What a relay's thread keeps of doors, channels, routes and ports. Ids, not pointers, lead from one to another: what is
// gone is simply not found.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "asked_peers.h"
#include "bundle.h"
#include "channel_seal.h"
#include "endpoint_table.h"
#include "part_assembly.h"
#include "relay_counters.h"
#include "udp_socket.h"

namespace entremise {

// Tests have shorter ones.
struct RelayTimes {
  uint64_t old_epoch_ms = 10'000;
  uint64_t hold_ms = 100;
  uint64_t part_ms = 500;
  uint64_t approval_idle_ms = 300'000;
  // How often is looked for what is idle.
  uint64_t sweep_ms = 5'000;
};

struct Door {
  uint32_t id = 0;
  UdpSocket socket;
  // Packets come from there alone; none at a server.
  Endpoint server;
  std::shared_ptr<RelayCounters> counters;
};

struct RouteId {
  uint32_t cid = 0;
  uint32_t route = 0;
};

// Where datagrams go.
struct Target {
  enum class Kind : uint8_t { kScript, kDrop, kPort, kRoute };
  Kind kind = Kind::kDrop;
  uint32_t port = 0;
  RouteId route;
  // kPort: instead of the peer in the packet. kRoute of a port: instead of the sender.
  Endpoint peer;
  // kPort: the only one whose datagrams pass, if it is known.
  Endpoint only;
};

// What one peer of a port is bound to. With an idle time it is forgotten, and told, after so long without a datagram
// either way.
struct Binding {
  Target target;
  uint64_t idle_ms = 0;
  uint64_t used_ms = 0;
};

// What the ports of one grant may move, both ways together (P6.3).
struct Budget {
  // What may go at full speed before the rate is felt, as time at that rate; as src/mediator/grant-usage.ts has it.
  static constexpr double kBurstMs = 200;

  double bytes_per_ms = 0;
  double paid_until_ms = 0;

  bool Take(size_t bytes, uint64_t now_ms) {
    const auto now = static_cast<double>(now_ms);
    const double from = paid_until_ms < now - kBurstMs ? now - kBurstMs : paid_until_ms;
    if (from > now) return false;
    paid_until_ms = from + static_cast<double>(bytes) / bytes_per_ms;
    return true;
  }
};

// The addresses that begin with so many bits of `address`.
struct Network {
  Address address;
  uint16_t prefix_bits = 0;

  bool Contains(const Address& other) const;
};

// A port that is many sockets towards one service, one for each peer of ours (P7.6).
struct Service {
  Endpoint at;
  uint32_t max_peers = 0;
  uint64_t idle_ms = 0;
  uint32_t peers_per_second = 0;
  std::unordered_map<Endpoint, uint32_t, EndpointHash> sockets;
  uint64_t second = 0;
  uint32_t begun_in_second = 0;
};

struct Route {
  Target target;
  bool held = false;
  uint64_t held_until_ms = 0;
  std::deque<std::vector<uint8_t>> kept;
};

struct Path {
  uint32_t door = 0;
  Endpoint peer;
  size_t packet_bytes = 0;
  // The longest packet that datagrams share; 0: the other side opens none.
  size_t bundle_bytes = 0;
};

struct Channel {
  Channel(ChannelOpener first, uint64_t part_ms) : opener(std::move(first)), parts(part_ms) {}

  uint32_t cid = 0;
  ChannelSealer sealer;
  ChannelOpener opener;
  // Seals from the first packet of its epoch on; none: nothing is awaited.
  std::unique_ptr<Aead> next_seal;
  uint8_t next_epoch = 0;
  bool has_path = false;
  bool told_spent = false;
  Path path;
  uint32_t next_part = 0;
  Bundle bundle;
  PartAssembly parts;
  uint64_t told_elsewhere_ms = 0;
  std::unordered_map<uint32_t, Route> routes;
  // At which of a wildcard door's addresses peers have asked lately: they are answered from there.
  std::array<std::pair<Endpoint, Address>, 4> asked_at = {};
  size_t next_asked_at = 0;
  std::shared_ptr<RelayCounters> counters;
};

struct Port {
  explicit Port(uint64_t approval_idle_ms) : approved(kMostPeers, approval_idle_ms) {}

  static constexpr size_t kMostPeers = 1024;
  static constexpr size_t kMostAsked = 65'536;
  static constexpr uint64_t kAskedIdleMs = 300'000;

  uint32_t id = 0;
  UdpSocket socket;
  bool approve = false;
  Target target;
  std::unordered_map<Endpoint, Binding, EndpointHash> peers;
  // Where datagrams may come from; none: anywhere.
  std::vector<Network> only_from;
  // Shared with the other ports of its grant; null: no bound.
  std::shared_ptr<Budget> budget;
  EndpointTable<bool> approved;
  AskedPeers asked;
  // At which of a wildcard's addresses they have asked.
  EndpointTable<Address> asked_at{kMostAsked, kAskedIdleMs};
  // It has no socket of its own then.
  std::unique_ptr<Service> service;
  // Of a service's socket: the service's port, and the peer that it stands for.
  uint32_t service_port = 0;
  Endpoint stands_for;
  uint64_t used_ms = 0;
  std::shared_ptr<RelayCounters> counters;
};

// Null when that peer has none of its own.
inline Binding* BindingOf(Port* port, const Endpoint& peer) {
  if (port->peers.empty()) return nullptr;
  const auto found = port->peers.find(peer);
  return found == port->peers.end() ? nullptr : &found->second;
}

}  // namespace entremise
