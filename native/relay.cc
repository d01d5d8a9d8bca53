#include "relay.h"

#include <cerrno>

#include "datagram_body.h"

namespace entremise {
namespace {

// With room for header and tag.
std::vector<uint8_t> WithRoom(size_t length) {
  return std::vector<uint8_t>(ReceiveSlots::kHeadroom + length + ReceiveSlots::kTailroom);
}

std::vector<uint8_t> WithRoom(const uint8_t* bytes, size_t length) {
  std::vector<uint8_t> copy = WithRoom(length);
  if (length > 0) memcpy(copy.data() + ReceiveSlots::kHeadroom, bytes, length);
  return copy;
}

}  // namespace

int Relay::Start() { return core_.Prepare() ? thread_.Start(&core_) : ENOMEM; }

std::shared_ptr<RelayCounters> Relay::Counted(Thing thing, uint32_t id) {
  auto counters = std::make_shared<RelayCounters>();
  counters_[{thing, id}] = counters;
  return counters;
}

int Relay::AddDoor(UdpSocket socket, const Endpoint& server, uint32_t* id) {
  *id = next_id_++;
  Door door;
  door.id = *id;
  door.socket = std::move(socket);
  door.server = server;
  door.counters = Counted(Thing::kDoor, *id);
  door_numbers_[*id] = door.socket.number;
  thread_.Run([this, door = std::move(door)]() mutable { core_.AddDoor(std::move(door)); });
  return 0;
}

int Relay::OpenServiceDoor(const std::string& address, uint16_t number, uint32_t* id) {
  UdpSocket socket;
  const int error = OpenDoor(address, number, &socket);
  return error != 0 ? error : AddDoor(std::move(socket), {}, id);
}

int Relay::OpenMemberDoor(const Endpoint& server, uint32_t* id) {
  UdpSocket socket;
  const int error = OpenDoor(server.address.family == 4 ? "0.0.0.0" : "::", 0, &socket);
  if (error != 0) return error;
  // It asks, it is not asked: the kernel chooses its address.
  socket.wildcard = false;
  return AddDoor(std::move(socket), server, id);
}

uint16_t Relay::DoorNumber(uint32_t id) const {
  const auto found = door_numbers_.find(id);
  return found == door_numbers_.end() ? 0 : found->second;
}

void Relay::CloseDoor(uint32_t id) {
  Uncount(Thing::kDoor, id);
  door_numbers_.erase(id);
  // Its number is free when this returns.
  thread_.RunAndWait([this, id] { core_.CloseDoor(id); });
}

void Relay::AddChannel(uint32_t cid, uint8_t epoch, std::unique_ptr<Aead> seal, std::unique_ptr<Aead> open) {
  auto counters = Counted(Thing::kChannel, cid);
  thread_.Run([this, cid, epoch, seal = std::move(seal), open = std::move(open), counters]() mutable {
    core_.AddChannel(cid, epoch, std::move(seal), std::move(open), std::move(counters));
  });
}

void Relay::AddEpoch(uint32_t cid, uint8_t epoch, std::unique_ptr<Aead> seal, std::unique_ptr<Aead> open,
                     bool seal_now) {
  thread_.Run([this, cid, epoch, seal = std::move(seal), open = std::move(open), seal_now]() mutable {
    core_.AddEpoch(cid, epoch, std::move(seal), std::move(open), seal_now);
  });
}

void Relay::SetPath(uint32_t cid, const Path& path) {
  thread_.Run([this, cid, path] { core_.SetPath(cid, path); });
}

void Relay::RemoveChannel(uint32_t cid) {
  Uncount(Thing::kChannel, cid);
  thread_.Run([this, cid] { core_.RemoveChannel(cid); });
}

int Relay::AddPort(Fd* fd, PortRules rules, bool broadcast, uint32_t* id) {
  UdpSocket socket;
  const int error = AdoptSocket(fd, broadcast, &socket);
  if (error != 0) return error;
  const uint32_t port = next_id_++;
  *id = port;
  auto counters = Counted(Thing::kPort, port);
  thread_.Run([this, port, counters, rules = std::move(rules), socket = std::move(socket)]() mutable {
    core_.AddPort(port, std::move(socket), rules, std::move(counters));
  });
  return 0;
}

uint32_t Relay::AddService(Service service) {
  const uint32_t port = next_id_++;
  auto counters = Counted(Thing::kPort, port);
  thread_.Run([this, port, counters, service = std::move(service)]() mutable {
    core_.AddService(port, std::move(service), std::move(counters));
  });
  return port;
}

void Relay::RemovePort(uint32_t id) {
  Uncount(Thing::kPort, id);
  thread_.RunAndWait([this, id] { core_.RemovePort(id); });
}

void Relay::LimitPort(uint32_t port, uint32_t group, uint32_t bytes_per_second) {
  thread_.Run([this, port, group, bytes_per_second] { core_.LimitPort(port, group, bytes_per_second); });
}

void Relay::Approve(uint32_t port, const Endpoint& peer) {
  thread_.Run([this, port, peer] { core_.Approve(port, peer); });
}

void Relay::Refuse(uint32_t port, const Endpoint& peer) {
  thread_.Run([this, port, peer] { core_.Refuse(port, peer); });
}

void Relay::ClearApprovals(uint32_t port) {
  thread_.RunAndWait([this, port] { core_.ClearApprovals(port); });
}

void Relay::BindPort(uint32_t port, const Target& to) {
  thread_.Run([this, port, to] { core_.BindPort(port, to); });
}

void Relay::BindPeer(uint32_t port, const Endpoint& peer, const Target& to, uint64_t idle_ms) {
  thread_.Run([this, port, peer, to, idle_ms] { core_.BindPeer(port, peer, to, idle_ms); });
}

void Relay::BindRoute(const RouteId& id, const Target& to, bool held) {
  thread_.Run([this, id, to, held] { core_.BindRoute(id, to, held); });
}

void Relay::UnbindRoute(const RouteId& id) {
  thread_.Run([this, id] { core_.UnbindRoute(id); });
}

bool Relay::SendControl(uint32_t cid, uint32_t door, const Endpoint& to, uint8_t kind, const uint8_t* body,
                        size_t length) {
  auto copy = WithRoom(body, length);
  const size_t bytes = copy.size();
  return thread_.Run([this, cid, door, to, kind, copy = std::move(copy)]() mutable {
    core_.SendControl(cid, door, to, kind, std::move(copy));
  }, bytes);
}

bool Relay::SendDatagram(const RouteId& id, const Endpoint& peer, const uint8_t* bytes, size_t length) {
  auto body = WithRoom(kRouteBytes + peer.WireBytes() + length);
  uint8_t* at = body.data() + ReceiveSlots::kHeadroom;
  WriteU32(at, id.route);
  at = peer.Write(at + kRouteBytes);
  if (length > 0) memcpy(at, bytes, length);
  const size_t waiting = body.size();
  return thread_.Run([this, cid = id.cid, body = std::move(body)]() mutable {
    core_.SendDatagram(cid, std::move(body));
  }, waiting);
}

bool Relay::SendPlain(uint32_t port, const Endpoint& peer, const Address& from, const uint8_t* bytes, size_t length) {
  auto copy = WithRoom(bytes, length);
  const size_t waiting = copy.size();
  return thread_.Run([this, port, peer, from, copy = std::move(copy)]() mutable {
    core_.SendPlain(port, peer, from, std::move(copy));
  }, waiting);
}

}  // namespace entremise
