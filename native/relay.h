// A relay as its owner sees it: what is asked is done on the relay's thread, in order. One owner thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "relay_core.h"
#include "relay_thread.h"
#include "relay_upcalls.h"

namespace entremise {

class Relay {
 public:
  enum class Thing : uint8_t { kDoor = 1, kChannel = 2, kPort = 3 };
  using CounterTable = std::map<std::pair<Thing, uint32_t>, std::shared_ptr<RelayCounters>>;

  // `wake` is called on the relay's thread when there are upcalls to take.
  Relay(std::function<void()> wake, const RelayTimes& times)
      : upcalls_(std::move(wake)), core_(&thread_, &upcalls_, times) {}

  ~Relay() { Stop(); }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  int Start();
  // The thread is over when it returns, then the sockets are closed. Nothing may be asked after it.
  void Stop() { thread_.Stop(); }
  std::vector<uint8_t> TakeUpcalls() { return upcalls_.Take(); }
  uint64_t upcalls_dropped() const { return upcalls_.dropped(); }
  const CounterTable& counters() const { return counters_; }
  const RelayCounters* ChannelCounters(uint32_t cid) const {
    const auto found = counters_.find({Thing::kChannel, cid});
    return found == counters_.end() ? nullptr : found->second.get();
  }

  // An errno, 0 when *id is the door's.
  int OpenServiceDoor(const std::string& address, uint16_t number, uint32_t* id);
  int OpenMemberDoor(const Endpoint& server, uint32_t* id);
  void CloseDoor(uint32_t id);
  // The door's own number, 0 when it is none of this relay's.
  uint16_t DoorNumber(uint32_t id) const;
  void AddChannel(uint32_t cid, uint8_t epoch, std::unique_ptr<Aead> seal, std::unique_ptr<Aead> open);
  void AddEpoch(uint32_t cid, uint8_t epoch, std::unique_ptr<Aead> seal, std::unique_ptr<Aead> open, bool seal_now);
  void SetPath(uint32_t cid, const Path& path);
  void RemoveChannel(uint32_t cid);
  // Takes the fd over when it answers 0.
  int AddPort(Fd* fd, PortRules rules, bool broadcast, uint32_t* id);
  uint32_t AddService(Service service);
  void RemovePort(uint32_t id);
  void LimitPort(uint32_t port, uint32_t group, uint32_t bytes_per_second);
  void Approve(uint32_t port, const Endpoint& peer);
  void Refuse(uint32_t port, const Endpoint& peer);
  // Nobody is sent to any more by an approval from before when it returns.
  void ClearApprovals(uint32_t port);
  void BindPort(uint32_t port, const Target& to);
  void BindPeer(uint32_t port, const Endpoint& peer, const Target& to, uint64_t idle_ms);
  void BindRoute(const RouteId& id, const Target& to, bool held);
  void UnbindRoute(const RouteId& id);

  // False: too much waits already, it was dropped.
  bool SendControl(uint32_t cid, uint32_t door, const Endpoint& to, uint8_t kind, const uint8_t* body, size_t length);
  bool SendDatagram(const RouteId& id, const Endpoint& peer, const uint8_t* bytes, size_t length);
  bool SendPlain(uint32_t port, const Endpoint& peer, const Address& from, const uint8_t* bytes, size_t length);

 private:
  int AddDoor(UdpSocket socket, const Endpoint& server, uint32_t* id);
  std::shared_ptr<RelayCounters> Counted(Thing thing, uint32_t id);
  void Uncount(Thing thing, uint32_t id) { counters_.erase({thing, id}); }

  RelayUpcalls upcalls_;
  // What runs on it is the core below, so Stop comes before the end of both.
  RelayThread thread_;
  RelayCore core_;
  CounterTable counters_;
  std::map<uint32_t, uint16_t> door_numbers_;
  uint32_t next_id_ = 1;
};

}  // namespace entremise
