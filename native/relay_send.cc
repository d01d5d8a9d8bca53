// What goes out: sealed, small ones together, in halves where the path is short, or to a peer as it is.
#include <algorithm>

#include "datagram_body.h"
#include "relay_core.h"

namespace entremise {
namespace {

Address AnswerFrom(const Channel& channel, const Door& door, const Endpoint& to) {
  if (door.socket.wildcard) {
    for (const auto& [peer, address] : channel.asked_at) {
      if (peer == to) return address;
    }
  }
  return {};
}

}  // namespace

void RelayCore::SendWaiting() {
  for (Channel* channel : gathering_) SealGathered(channel);
  gathering_.clear();
  send_.Flush(now_ms_);
  bundle_memory_.Clear();
}

void RelayCore::Flush() {
  SendWaiting();
  kept_until_flush_.clear();
}

uint8_t* RelayCore::Keep(std::vector<uint8_t> with_room) {
  return KeepBare(std::move(with_room)) + ReceiveSlots::kHeadroom;
}

uint8_t* RelayCore::KeepBare(std::vector<uint8_t> bytes) {
  kept_until_flush_.push_back(std::move(bytes));
  return kept_until_flush_.back().data();
}

uint8_t* RelayCore::Copy(const uint8_t* bytes, size_t length) {
  std::vector<uint8_t> copy(ReceiveSlots::kHeadroom + length + ReceiveSlots::kTailroom);
  memcpy(copy.data() + ReceiveSlots::kHeadroom, bytes, length);
  return Keep(std::move(copy));
}

bool RelayCore::Pays(Port* port, size_t bytes) {
  if (port->budget == nullptr || port->budget->Take(bytes, now_ms_)) return true;
  port->counters->Add(Count::kLimited);
  return false;
}

void RelayCore::SendToPort(Port* port, const Endpoint& peer, uint8_t* bytes, size_t length) {
  if (port->service != nullptr) return SendToService(port, peer, bytes, length);
  if (port->approve && port->approved.Find(peer, now_ms_) == nullptr) {
    return KeepUntilAnswered(port, peer, bytes, length);
  }
  if (!Pays(port, length)) return;
  if (Binding* binding = BindingOf(port, peer)) binding->used_ms = now_ms_;
  const Address* from = port->socket.wildcard ? port->asked_at.Find(peer, now_ms_) : nullptr;
  send_.Add({&port->socket, peer, from == nullptr ? Address{} : *from, port->counters.get()}, bytes, length);
}

// What follows waits behind it: the answer comes from another thread, and nothing may overtake.
void RelayCore::KeepUntilAnswered(Port* port, const Endpoint& peer, const uint8_t* bytes, size_t length) {
  const bool is_asked = port->asked.Knows(peer);
  if (!port->asked.Keep(peer, {bytes, bytes + length})) return port->counters->Add(Count::kFull);
  if (is_asked || upcalls_->Tell(Upcall::kUnapproved, port->id, 0, 0, peer, {}, nullptr, 0)) return;
  port->asked.Take(peer);
}

void RelayCore::SendToService(Port* port, const Endpoint& peer, uint8_t* bytes, size_t length) {
  Port* socket = ServiceSocketFor(port, peer);
  if (socket == nullptr) return port->counters->Add(Count::kFull);
  socket->used_ms = now_ms_;
  send_.Add({&socket->socket, {}, {}, port->counters.get()}, bytes, length);
}

// Null when there are too many, or too many new ones.
Port* RelayCore::ServiceSocketFor(Port* service_port, const Endpoint& peer) {
  Service& service = *service_port->service;
  const auto found = service.sockets.find(peer);
  if (found != service.sockets.end()) return PortOf(found->second);
  if (service.second != now_ms_ / 1000) {
    service.second = now_ms_ / 1000;
    service.begun_in_second = 0;
  }
  const bool room = service.sockets.size() < service.max_peers && service.begun_in_second < service.peers_per_second;
  UdpSocket opened;
  if (!room || OpenTowards(service.at, &opened) != 0) return nullptr;
  service.begun_in_second++;
  auto socket = std::make_unique<Port>(times_.approval_idle_ms);
  socket->id = next_service_socket_++;
  socket->socket = std::move(opened);
  socket->service_port = service_port->id;
  socket->stands_for = peer;
  socket->counters = service_port->counters;
  service.sockets[peer] = socket->id;
  expiring_++;
  Port* made = socket.get();
  Watch(std::move(socket));
  return made;
}

bool RelayCore::Gather(Channel* channel, const uint8_t* body, size_t length) {
  Bundle& bundle = channel->bundle;
  if (bundle.Fits(length)) {
    bundle.Add(body, length);
    return true;
  }
  if (bundle.count > 0) SealGathered(channel);
  // Where no second one of its length fits beside it there is nothing to gain by copying it.
  const size_t room = std::min({channel->path.bundle_bytes, channel->path.packet_bytes, kOverheadBytes + kLongestBundle});
  if (kOverheadBytes + 2 * (kBundledLengthBytes + length) > room) return false;
  const size_t taken = room - kOverheadBytes;
  uint8_t* memory = bundle_memory_.Take(taken);
  if (memory == nullptr) {
    SendWaiting();
    memory = bundle_memory_.Take(taken);
    if (memory == nullptr) return false;
  }
  bundle.body = memory;
  bundle.taken = taken;
  bundle.Add(body, length);
  if (gathering_.empty() || gathering_.back() != channel) gathering_.push_back(channel);
  return true;
}

void RelayCore::SealGathered(Channel* channel) {
  const Bundle bundle = channel->bundle;
  channel->bundle = {};
  Door* door = DoorOf(channel->path.door);
  if (bundle.count == 0) return;
  if (door == nullptr) return channel->counters->Add(Count::kPathless, bundle.count);
  bundle_memory_.Trim(bundle.body, bundle.taken, bundle.length);
  const bool alone = bundle.count == 1;
  const size_t before = alone ? kBundledLengthBytes : 0;
  // One is counted where it is not sealed.
  if (channel->sealer.spent()) channel->counters->Add(Count::kPathless, bundle.count - 1);
  SealAndSend(channel, door, channel->path.peer, alone ? kDatagram : kBundle, bundle.body + before,
              bundle.length - before);
}

void RelayCore::SendBody(Channel* channel, uint8_t* body, size_t length, Around around) {
  Door* door = DoorOf(channel->path.door);
  if (door == nullptr) return channel->counters->Add(Count::kPathless);
  if (Gather(channel, body, length)) return;
  const size_t packet = channel->path.packet_bytes;
  if (kOverheadBytes + length <= packet) {
    if (around == Around::kOthers) body = Copy(body, length);
    return SealAndSend(channel, door, channel->path.peer, kDatagram, body, length);
  }
  if (kOverheadBytes + kPartHeadBytes + (length + 1) / 2 <= packet) return SendHalves(channel, *door, body, length);
  channel->counters->Add(Count::kOversize);
  Datagram datagram;
  if (!ReadDatagram(body, length, &datagram)) return;
  upcalls_->Tell(Upcall::kOversize, channel->cid, datagram.route, 0, datagram.peer, {}, datagram.bytes,
                 datagram.length);
}

void RelayCore::SendHalves(Channel* channel, const Door& door, const uint8_t* body, size_t length) {
  const uint32_t id = channel->next_part++;
  const size_t first = (length + 1) / 2;
  for (uint8_t index = 0; index < 2; index++) {
    const uint8_t* from = index == 0 ? body : body + first;
    const size_t bytes = index == 0 ? first : length - first;
    uint8_t* part = Copy(from, bytes) - kPartHeadBytes;
    WriteU32(part, id);
    part[4] = index;
    SealAndSend(channel, DoorOf(door.id), channel->path.peer, kPart, part, kPartHeadBytes + bytes);
  }
}

void RelayCore::SealAndSend(Channel* channel, Door* door, const Endpoint& to, uint8_t kind, uint8_t* body,
                            size_t length) {
  if (!channel->sealer.Seal(kind, channel->cid, body, length)) {
    channel->counters->Add(Count::kPathless);
    if (!channel->told_spent) upcalls_->Tell(Upcall::kSpent, channel->cid, 0, 0, {}, {}, nullptr, 0);
    channel->told_spent = true;
    return;
  }
  const Address from = AnswerFrom(*channel, *door, to);
  send_.Add({&door->socket, to, from, channel->counters.get()}, body - kHeaderBytes, kOverheadBytes + length);
}

void RelayCore::SendControl(uint32_t cid, uint32_t door_id, const Endpoint& to, uint8_t kind,
                            std::vector<uint8_t> body) {
  Channel* channel = ChannelOf(cid);
  Door* door = DoorOf(door_id);
  if (channel == nullptr || door == nullptr) return;
  const size_t length = body.size() - ReceiveSlots::kHeadroom - ReceiveSlots::kTailroom;
  SealAndSend(channel, door, to, kind, Keep(std::move(body)), length);
}

void RelayCore::SendDatagram(uint32_t cid, std::vector<uint8_t> body) {
  Channel* channel = ChannelOf(cid);
  if (channel == nullptr) return;
  const size_t length = body.size() - ReceiveSlots::kHeadroom - ReceiveSlots::kTailroom;
  SendBody(channel, Keep(std::move(body)), length, Around::kRoom);
}

void RelayCore::SendPlain(uint32_t port_id, const Endpoint& peer, const Address& from, std::vector<uint8_t> bytes) {
  Port* port = PortOf(port_id);
  if (port == nullptr) return;
  const size_t length = bytes.size() - ReceiveSlots::kHeadroom - ReceiveSlots::kTailroom;
  now_ms_ = MonotonicMs();
  if (port->service != nullptr) return SendToService(port, peer, Keep(std::move(bytes)), length);
  if (!Pays(port, length)) return;
  if (Binding* binding = BindingOf(port, peer)) binding->used_ms = now_ms_;
  const Address* asked = port->socket.wildcard ? port->asked_at.Find(peer, now_ms_) : nullptr;
  const Address& chosen = from.family == 0 && asked != nullptr ? *asked : from;
  send_.Add({&port->socket, peer, chosen, port->counters.get()}, Keep(std::move(bytes)), length);
}

}  // namespace entremise
