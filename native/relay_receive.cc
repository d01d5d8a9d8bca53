// What comes in: opened, and given to where it is bound to.
#include <algorithm>

#include "datagram_body.h"
#include "relay_core.h"
#include "relay_tags.h"

namespace entremise {
namespace {

// What came in one piece with others is up to 64 KiB: so many of these fill a turn, and of single packets as many as there are slots.
constexpr size_t kPieces = 16;
constexpr size_t kMostHeld = 256;
constexpr uint64_t kTellElsewhereMs = 250;

bool AreSingle(const ReceiveSlots& slots, size_t count) {
  for (size_t index = 0; index < count; index++) {
    if (slots[index].segment > 0) return false;
  }
  return true;
}

bool Hears(const Port& port, const Address& from) {
  if (port.only_from.empty()) return true;
  return std::any_of(port.only_from.begin(), port.only_from.end(),
                     [&from](const Network& network) { return network.Contains(from); });
}

void RememberAsked(Channel* channel, const Endpoint& from, const Address& at) {
  for (auto& [peer, address] : channel->asked_at) {
    if (peer != from) continue;
    address = at;
    return;
  }
  channel->asked_at[channel->next_asked_at++ % channel->asked_at.size()] = {from, at};
}

}  // namespace

void RelayCore::OnReady(uint64_t tag, uint32_t events) {
  now_ms_ = MonotonicMs();
  send_.SetNow(now_ms_);
  const auto id = static_cast<uint32_t>(tag);
  if ((tag & kPortBit) == 0) {
    if (Door* door = DoorOf(id)) OnDoor(door);
  } else if (Port* port = PortOf(id)) {
    if ((events & EPOLLERR) != 0) OnPortErrors(port);
    OnPort(port);
  }
  Flush();
}

void RelayCore::OnDoor(Door* door) {
  uint64_t overflow = 0;
  size_t count = slots_.Receive(&door->socket, 0, kPieces, &overflow);
  if (count == kPieces && AreSingle(slots_, count)) {
    count += slots_.Receive(&door->socket, count, ReceiveSlots::kSlots - count, &overflow);
  }
  if (overflow > 0) door->counters->Add(Count::kOverflow, overflow);
  for (size_t index = 0; index < count; index++) {
    const Received& received = slots_[index];
    const size_t segment = received.segment > 0 ? received.segment : received.length;
    size_t at = 0;
    do {
      const size_t length = received.length - at < segment ? received.length - at : segment;
      OnPacket(door, received, received.bytes + at, length);
      at += segment;
    } while (at < received.length);
  }
}

void RelayCore::OnPacket(Door* door, const Received& packet, uint8_t* bytes, size_t length) {
  door->counters->In(length);
  PacketHeader header;
  const bool welcome = !door->server.known() || packet.from == door->server;
  Channel* channel = welcome && ReadHeader(bytes, length, &header) ? ChannelOf(header.cid) : nullptr;
  if (channel == nullptr) return door->counters->Add(Count::kUnknown);
  switch (channel->opener.Open(header, bytes, length, now_ms_)) {
    case Opened::kUnknown:
      return channel->counters->Add(Count::kUnknown);
    case Opened::kForged:
      return channel->counters->Add(Count::kForged);
    case Opened::kReplayed:
      return channel->counters->Add(Count::kReplayed);
    case Opened::kDone:
      channel->counters->In(length);
      if (channel->next_seal != nullptr && channel->opener.epoch() == channel->next_epoch) {
        OnEpoch(channel, channel->next_epoch, std::move(channel->next_seal));
      }
      if (door->socket.wildcard) RememberAsked(channel, packet.from, packet.local);
      OnOpened(channel, header.kind, bytes + kHeaderBytes, length - kOverheadBytes, packet, door);
  }
}

void RelayCore::OnOpened(Channel* channel, uint8_t kind, uint8_t* body, size_t length, const Received& packet,
                         Door* door) {
  if (kind != kDatagram && kind != kPart && kind != kBundle) {
    upcalls_->Tell(Upcall::kControl, channel->cid, door->id, kind, packet.from, {}, body, length);
    return;
  }
  const Path& path = channel->path;
  const bool elsewhere = path.door != 0 && (path.door != door->id || path.peer != packet.from);
  if (elsewhere && now_ms_ - channel->told_elsewhere_ms >= kTellElsewhereMs) {
    channel->told_elsewhere_ms = now_ms_;
    upcalls_->Tell(Upcall::kElsewhere, channel->cid, door->id, 0, packet.from, {}, nullptr, 0);
  }
  if (kind == kPart) return OnPart(channel, body, length);
  if (kind == kBundle) return OnBundle(channel, body, length);
  OnBody(channel, body, length, Around::kRoom);
}

void RelayCore::OnPart(Channel* channel, const uint8_t* part, size_t length) {
  if (!PartAssembly::IsPart(part, length)) return channel->counters->Add(Count::kMalformed);
  std::vector<uint8_t> whole;
  uint64_t lost = 0;
  const bool complete = channel->parts.Take(part, length, now_ms_, &whole, &lost);
  if (lost > 0) channel->counters->Add(Count::kHalves, lost);
  if (complete) OnBody(channel, Copy(whole.data(), whole.size()), whole.size(), Around::kRoom);
}

void RelayCore::OnBundle(Channel* channel, uint8_t* bundle, size_t length) {
  const bool whole = ReadBundle(bundle, length, [this, channel](uint8_t* body, size_t bytes) {
    OnBody(channel, body, bytes, Around::kOthers);
  });
  if (!whole) channel->counters->Add(Count::kMalformed);
}

void RelayCore::OnBody(Channel* channel, uint8_t* body, size_t length, Around around) {
  Datagram datagram;
  if (!ReadDatagram(body, length, &datagram)) return channel->counters->Add(Count::kMalformed);
  const RouteId id = {channel->cid, datagram.route};
  const auto found = channel->routes.find(datagram.route);
  if (found == channel->routes.end()) return channel->counters->Add(Count::kUnbound);
  Route& route = found->second;
  if (!route.held) return Deliver(channel, id, &route, body, length, around);
  if (route.kept.empty()) {
    route.held_until_ms = now_ms_ + times_.hold_ms;
    held_.push_back(id);
  }
  std::vector<uint8_t> copy(ReceiveSlots::kHeadroom + length + ReceiveSlots::kTailroom);
  memcpy(copy.data() + ReceiveSlots::kHeadroom, body, length);
  route.kept.push_back(std::move(copy));
  if (route.kept.size() >= kMostHeld) Release(channel, id, &route);
}

void RelayCore::Release(Channel* channel, const RouteId& id, Route* route) {
  route->held = false;
  std::deque<std::vector<uint8_t>> kept;
  kept.swap(route->kept);
  for (auto& each : kept) {
    const size_t length = each.size() - ReceiveSlots::kHeadroom - ReceiveSlots::kTailroom;
    uint8_t* body = Keep(std::move(each));
    Deliver(channel, id, route, body, length, Around::kRoom);
  }
}

void RelayCore::Deliver(Channel* channel, const RouteId& id, Route* route, uint8_t* body, size_t length,
                        Around around) {
  Datagram datagram;
  if (!ReadDatagram(body, length, &datagram)) return;
  const Target& target = route->target;
  const Endpoint& peer = datagram.peer;
  switch (target.kind) {
    case Target::Kind::kScript:
      upcalls_->Tell(Upcall::kDatagram, id.cid, id.route, 0, peer, {}, datagram.bytes, datagram.length);
      return;
    case Target::Kind::kPort:
      if (target.only.known() && target.only != peer) break;
      if (Port* port = PortOf(target.port)) {
        return SendToPort(port, target.peer.known() ? target.peer : peer, datagram.bytes, datagram.length);
      }
      break;
    case Target::Kind::kRoute:
      if (Channel* next = ChannelOf(target.route.cid)) {
        WriteU32(body, target.route.route);
        return SendBody(next, body, length, around);
      }
      break;
    case Target::Kind::kDrop:
      break;
  }
  channel->counters->Add(Count::kUnbound);
}

void RelayCore::OnPort(Port* port) {
  uint64_t overflow = 0;
  const size_t count = slots_.Receive(&port->socket, 0, ReceiveSlots::kSlots, &overflow);
  if (overflow > 0) port->counters->Add(Count::kOverflow, overflow);
  if (port->service_port != 0) port->used_ms = now_ms_;
  for (size_t index = 0; index < count; index++) OnPortDatagram(port, slots_[index]);
}

void RelayCore::OnPortErrors(Port* port) {
  Endpoint peer;
  uint8_t code = 0;
  bool of_interest = false;
  while (TakeUnreachable(port->socket, &peer, &code, &of_interest)) {
    if (of_interest) upcalls_->Tell(Upcall::kUnreachable, port->id, code, 0, peer, {}, nullptr, 0);
  }
}

void RelayCore::OnPortDatagram(Port* port, const Received& datagram) {
  port->counters->In(datagram.length);
  if (!Hears(*port, datagram.from.address)) return port->counters->Add(Count::kForeign);
  if (!Pays(port, datagram.length)) return;
  if (port->socket.wildcard && datagram.local.family != 0) port->asked_at.Put(datagram.from, datagram.local, now_ms_);
  const bool of_service = port->service_port != 0;
  const Port* bound = of_service ? PortOf(port->service_port) : port;
  if (bound == nullptr) return;
  const Endpoint& from = of_service ? port->stands_for : datagram.from;
  Binding* own = BindingOf(port, datagram.from);
  const Target& target = own == nullptr ? bound->target : own->target;
  if (own != nullptr) own->used_ms = now_ms_;
  if (target.kind == Target::Kind::kScript) {
    upcalls_->Tell(Upcall::kPortDatagram, bound->id, 0, 0, from, datagram.local, datagram.bytes, datagram.length);
    return;
  }
  Channel* channel = target.kind == Target::Kind::kRoute ? ChannelOf(target.route.cid) : nullptr;
  if (channel == nullptr) return port->counters->Add(Count::kUnbound);
  const Endpoint& peer = target.peer.known() ? target.peer : from;
  const size_t added = kRouteBytes + peer.WireBytes();
  uint8_t* body = datagram.bytes - added;
  WriteU32(body, target.route.route);
  peer.Write(body + kRouteBytes);
  SendBody(channel, body, added + datagram.length, Around::kRoom);
}

}  // namespace entremise
