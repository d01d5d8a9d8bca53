// What a relay does, on its own thread: packets of channels are opened, datagrams go where their route or port is bound
// to, packets are sealed in the memory they came in and leave together. Ids that are unknown are passed over.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "gso_send.h"
#include "receive_slots.h"
#include "relay_tables.h"
#include "relay_thread.h"
#include "relay_upcalls.h"

namespace entremise {

// What a port hears, and to whom routes may send from it.
struct PortRules {
  bool approve = false;
  std::vector<Network> only_from;
};

class RelayCore final : public RelayThread::Work {
 public:
  RelayCore(RelayThread* thread, RelayUpcalls* upcalls, const RelayTimes& times)
      : thread_(thread), upcalls_(upcalls), times_(times) {}

  // False: there is no memory.
  bool Prepare() { return slots_.Map(); }

  void AddDoor(Door door);
  void CloseDoor(uint32_t id);
  void AddChannel(uint32_t cid, uint8_t epoch, std::unique_ptr<Aead> seal, std::unique_ptr<Aead> open,
                  std::shared_ptr<RelayCounters> counters);
  void AddEpoch(uint32_t cid, uint8_t epoch, std::unique_ptr<Aead> seal, std::unique_ptr<Aead> open, bool seal_now);
  // A path with a door of 0 is none.
  void SetPath(uint32_t cid, const Path& path);
  void RemoveChannel(uint32_t cid);
  void AddPort(uint32_t id, UdpSocket socket, const PortRules& rules, std::shared_ptr<RelayCounters> counters);
  void AddService(uint32_t id, Service service, std::shared_ptr<RelayCounters> counters);
  void RemovePort(uint32_t id);
  // Ports of one group have one budget; 0 bytes a second: no bound.
  void LimitPort(uint32_t port, uint32_t group, uint32_t bytes_per_second);
  // What waits for the answer about that peer leaves, or is dropped.
  void Approve(uint32_t port, const Endpoint& peer);
  void Refuse(uint32_t port, const Endpoint& peer);
  void ClearApprovals(uint32_t port);
  void BindPort(uint32_t port, const Target& to);
  // A target of kScript without an idle time takes the peer's own binding away.
  void BindPeer(uint32_t port, const Endpoint& peer, const Target& to, uint64_t idle_ms);
  void BindRoute(const RouteId& id, const Target& to, bool held);
  void UnbindRoute(const RouteId& id);

  // `body` has kHeadroom in front and kTailroom behind.
  void SendControl(uint32_t cid, uint32_t door, const Endpoint& to, uint8_t kind, std::vector<uint8_t> body);
  void SendDatagram(uint32_t cid, std::vector<uint8_t> body);
  void SendPlain(uint32_t port, const Endpoint& peer, const Address& from, std::vector<uint8_t> bytes);

  void OnReady(uint64_t tag, uint32_t events) override;
  int OnTurn(uint64_t now_ms) override;

 private:
  // Whether a body has memory of its own around it, for header and tag, or stands among others.
  enum class Around { kRoom, kOthers };

  void OnDoor(Door* door);
  void OnEpoch(Channel* channel, uint8_t epoch, std::unique_ptr<Aead> seal);
  void OnPacket(Door* door, const Received& packet, uint8_t* bytes, size_t length);
  void OnOpened(Channel* channel, uint8_t kind, uint8_t* body, size_t length, const Received& packet, Door* door);
  void OnPart(Channel* channel, const uint8_t* part, size_t length);
  void OnBundle(Channel* channel, uint8_t* bundle, size_t length);
  void OnBody(Channel* channel, uint8_t* body, size_t length, Around around);
  void Deliver(Channel* channel, const RouteId& id, Route* route, uint8_t* body, size_t length, Around around);
  void OnPort(Port* port);
  void OnPortErrors(Port* port);
  void OnPortDatagram(Port* port, const Received& datagram);

  bool Pays(Port* port, size_t bytes);
  void SendToPort(Port* port, const Endpoint& peer, uint8_t* bytes, size_t length);
  void KeepUntilAnswered(Port* port, const Endpoint& peer, const uint8_t* bytes, size_t length);
  void SendToService(Port* port, const Endpoint& peer, uint8_t* bytes, size_t length);
  void SendBody(Channel* channel, uint8_t* body, size_t length, Around around);
  // Small ones leave with the others of their channel, at the end of the turn. False: it is not for a bundle.
  bool Gather(Channel* channel, const uint8_t* body, size_t length);
  void SealGathered(Channel* channel);
  // Everything that waits leaves; what it was made from stays.
  void SendWaiting();
  void SendHalves(Channel* channel, const Door& door, const uint8_t* body, size_t length);
  void SealAndSend(Channel* channel, Door* door, const Endpoint& to, uint8_t kind, uint8_t* body, size_t length);
  void Release(Channel* channel, const RouteId& id, Route* route);
  Port* ServiceSocketFor(Port* service_port, const Endpoint& peer);
  void Watch(std::unique_ptr<Port> port);
  void ClosePort(Port* port);
  void SweepIdle();
  void SweepPeers(Port* port);
  // Before anything that a waiting packet leads to goes away, and before slots are received into again.
  void Flush();
  // Memory of the copy until the next Flush.
  uint8_t* Copy(const uint8_t* bytes, size_t length);
  uint8_t* Keep(std::vector<uint8_t> with_room);
  uint8_t* KeepBare(std::vector<uint8_t> bytes);

  Door* DoorOf(uint32_t id);
  Channel* ChannelOf(uint32_t cid);
  Route* RouteOf(const RouteId& id);
  Port* PortOf(uint32_t id);

  RelayThread* thread_;
  RelayUpcalls* upcalls_;
  RelayTimes times_;
  ReceiveSlots slots_;
  GsoSend send_;
  uint64_t now_ms_ = 0;
  std::vector<std::vector<uint8_t>> kept_until_flush_;
  BundleMemory bundle_memory_;
  // Channels that have gathered something.
  std::vector<Channel*> gathering_;
  std::unordered_map<uint32_t, Door> doors_;
  std::unordered_map<uint32_t, std::unique_ptr<Channel>> channels_;
  std::unordered_map<uint32_t, std::unique_ptr<Port>> ports_;
  std::vector<RouteId> held_;
  // Sockets of services have ids from the upper half.
  uint32_t next_service_socket_ = 0x80000000;
  // Sockets and bindings that may be idle; never fewer than there are.
  size_t expiring_ = 0;
  uint64_t swept_ms_ = 0;
  std::unordered_map<uint32_t, std::weak_ptr<Budget>> budgets_;
};

}  // namespace entremise
