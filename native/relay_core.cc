// Doors, channels, ports and bindings come and go; what passes through them is in relay_receive.cc and relay_send.cc.
#include "relay_core.h"

#include <algorithm>

#include "relay_tags.h"

namespace entremise {
namespace {

Target ToScript() {
  Target target;
  target.kind = Target::Kind::kScript;
  return target;
}

bool LeadsTo(const Target& target, uint32_t cid) {
  return target.kind == Target::Kind::kRoute && target.route.cid == cid;
}

}  // namespace

Door* RelayCore::DoorOf(uint32_t id) {
  const auto found = doors_.find(id);
  return found == doors_.end() ? nullptr : &found->second;
}

Channel* RelayCore::ChannelOf(uint32_t cid) {
  const auto found = channels_.find(cid);
  return found == channels_.end() ? nullptr : found->second.get();
}

Route* RelayCore::RouteOf(const RouteId& id) {
  Channel* channel = ChannelOf(id.cid);
  if (channel == nullptr) return nullptr;
  const auto found = channel->routes.find(id.route);
  return found == channel->routes.end() ? nullptr : &found->second;
}

Port* RelayCore::PortOf(uint32_t id) {
  const auto found = ports_.find(id);
  return found == ports_.end() ? nullptr : found->second.get();
}

void RelayCore::AddDoor(Door door) {
  const uint32_t id = door.id;
  thread_->Watch(door.socket.fd.number(), DoorTag(id));
  doors_[id] = std::move(door);
}

void RelayCore::CloseDoor(uint32_t id) {
  Door* door = DoorOf(id);
  if (door == nullptr) return;
  Flush();
  for (auto& [cid, channel] : channels_) {
    if (channel->path.door == id) channel->path = {};
  }
  thread_->Unwatch(door->socket.fd.number());
  doors_.erase(id);
}

void RelayCore::AddChannel(uint32_t cid, uint8_t epoch, std::unique_ptr<Aead> seal, std::unique_ptr<Aead> open,
                           std::shared_ptr<RelayCounters> counters) {
  RemoveChannel(cid);
  ChannelOpener opener(epoch, std::move(open), times_.old_epoch_ms);
  auto channel = std::make_unique<Channel>(std::move(opener), times_.part_ms);
  channel->cid = cid;
  channel->sealer.Install(epoch, std::move(seal));
  channel->counters = std::move(counters);
  channels_[cid] = std::move(channel);
}

void RelayCore::AddEpoch(uint32_t cid, uint8_t epoch, std::unique_ptr<Aead> seal, std::unique_ptr<Aead> open,
                         bool seal_now) {
  Channel* channel = ChannelOf(cid);
  // One that is there would count from 0 again with a key that has been used.
  if (channel == nullptr || channel->opener.Knows(epoch) || channel->sealer.epoch() == epoch) return;
  channel->opener.Await(epoch, std::move(open));
  channel->next_seal = nullptr;
  if (seal_now) return OnEpoch(channel, epoch, std::move(seal));
  channel->next_seal = std::move(seal);
  channel->next_epoch = epoch;
}

void RelayCore::OnEpoch(Channel* channel, uint8_t epoch, std::unique_ptr<Aead> seal) {
  channel->sealer.Install(epoch, std::move(seal));
  channel->told_spent = false;
}

void RelayCore::SetPath(uint32_t cid, const Path& path) {
  Channel* channel = ChannelOf(cid);
  if (channel == nullptr) return;
  SealGathered(channel);
  channel->path = path;
}

void RelayCore::RemoveChannel(uint32_t cid) {
  Channel* channel = ChannelOf(cid);
  if (channel == nullptr) return;
  Flush();
  channels_.erase(cid);
  for (auto& [id, port] : ports_) {
    if (LeadsTo(port->target, cid)) port->target = ToScript();
    for (auto peer = port->peers.begin(); peer != port->peers.end();) {
      Binding& binding = peer->second;
      const bool leads = LeadsTo(binding.target, cid);
      if (leads) binding.target = ToScript();
      peer = leads && binding.idle_ms == 0 ? port->peers.erase(peer) : std::next(peer);
    }
  }
  for (auto& [other, leading] : channels_) {
    for (auto& [route, binding] : leading->routes) {
      if (LeadsTo(binding.target, cid)) binding.target = ToScript();
    }
  }
}

void RelayCore::AddPort(uint32_t id, UdpSocket socket, const PortRules& rules,
                        std::shared_ptr<RelayCounters> counters) {
  auto port = std::make_unique<Port>(times_.approval_idle_ms);
  port->id = id;
  port->socket = std::move(socket);
  port->approve = rules.approve;
  port->only_from = rules.only_from;
  port->target = ToScript();
  port->counters = std::move(counters);
  Watch(std::move(port));
}

void RelayCore::AddService(uint32_t id, Service service, std::shared_ptr<RelayCounters> counters) {
  auto port = std::make_unique<Port>(times_.approval_idle_ms);
  port->id = id;
  port->service = std::make_unique<Service>(std::move(service));
  port->target = ToScript();
  port->counters = std::move(counters);
  ports_[id] = std::move(port);
}

void RelayCore::Watch(std::unique_ptr<Port> port) {
  thread_->Watch(port->socket.fd.number(), PortTag(port->id));
  const uint32_t id = port->id;
  ports_[id] = std::move(port);
}

void RelayCore::RemovePort(uint32_t id) {
  if (Port* port = PortOf(id)) ClosePort(port);
}

void RelayCore::LimitPort(uint32_t port, uint32_t group, uint32_t bytes_per_second) {
  Port* found = PortOf(port);
  if (found == nullptr) return;
  found->budget = nullptr;
  for (auto known = budgets_.begin(); known != budgets_.end();) {
    known = known->second.expired() ? budgets_.erase(known) : std::next(known);
  }
  if (bytes_per_second == 0) return;
  std::weak_ptr<Budget>& known = budgets_[group];
  found->budget = known.lock();
  if (found->budget == nullptr) found->budget = std::make_shared<Budget>();
  known = found->budget;
  found->budget->bytes_per_ms = bytes_per_second / 1000.0;
}

void RelayCore::ClosePort(Port* port) {
  Flush();
  if (port->service != nullptr) {
    for (const auto& [peer, id] : port->service->sockets) {
      if (Port* socket = PortOf(id)) ClosePort(socket);
    }
  } else {
    thread_->Unwatch(port->socket.fd.number());
  }
  ports_.erase(port->id);
}

void RelayCore::Approve(uint32_t port, const Endpoint& peer) {
  Port* found = PortOf(port);
  if (found == nullptr) return;
  now_ms_ = MonotonicMs();
  found->approved.Put(peer, true, now_ms_);
  for (auto& each : found->asked.Take(peer)) {
    const size_t length = each.size();
    SendToPort(found, peer, KeepBare(std::move(each)), length);
  }
}

void RelayCore::Refuse(uint32_t port, const Endpoint& peer) {
  if (Port* found = PortOf(port)) found->counters->Add(Count::kUnbound, found->asked.Take(peer).size());
}

void RelayCore::ClearApprovals(uint32_t port) {
  Flush();
  if (Port* found = PortOf(port)) found->approved.Clear();
}

void RelayCore::BindPort(uint32_t port, const Target& to) {
  if (Port* found = PortOf(port)) found->target = to;
}

void RelayCore::BindPeer(uint32_t port, const Endpoint& peer, const Target& to, uint64_t idle_ms) {
  Port* found = PortOf(port);
  if (found == nullptr) return;
  if (to.kind == Target::Kind::kScript && idle_ms == 0) {
    found->peers.erase(peer);
    return;
  }
  const auto [at, is_new] = found->peers.try_emplace(peer);
  at->second.target = to;
  at->second.idle_ms = idle_ms;
  if (is_new) at->second.used_ms = MonotonicMs();
  if (is_new && idle_ms > 0) expiring_++;
}

void RelayCore::BindRoute(const RouteId& id, const Target& to, bool held) {
  Channel* channel = ChannelOf(id.cid);
  if (channel == nullptr) return;
  Route& route = channel->routes[id.route];
  route.target = to;
  if (held) {
    route.held = true;
  } else {
    Release(channel, id, &route);
  }
}

void RelayCore::UnbindRoute(const RouteId& id) {
  if (Channel* channel = ChannelOf(id.cid)) channel->routes.erase(id.route);
}

int RelayCore::OnTurn(uint64_t now_ms) {
  now_ms_ = now_ms;
  int wait_ms = -1;
  const auto sooner = [&wait_ms](int ms) { wait_ms = wait_ms < 0 ? ms : std::min(wait_ms, ms); };
  for (size_t index = 0; index < held_.size();) {
    const RouteId id = held_[index];
    Route* route = RouteOf(id);
    const bool waits = route != nullptr && !route->kept.empty();
    if (waits && route->held_until_ms > now_ms) {
      sooner(static_cast<int>(route->held_until_ms - now_ms));
      index++;
      continue;
    }
    held_[index] = held_.back();
    held_.pop_back();
    if (waits) Release(ChannelOf(id.cid), id, route);
  }
  if (expiring_ > 0) {
    if (now_ms - swept_ms_ >= times_.sweep_ms) SweepIdle();
    sooner(static_cast<int>(times_.sweep_ms));
  }
  Flush();
  return wait_ms;
}

void RelayCore::SweepIdle() {
  swept_ms_ = now_ms_;
  expiring_ = 0;
  std::vector<Port*> idle;
  for (auto& [id, port] : ports_) {
    SweepPeers(port.get());
    Port* owner = port->service_port == 0 ? nullptr : PortOf(port->service_port);
    if (owner == nullptr) continue;
    if (now_ms_ - port->used_ms >= owner->service->idle_ms) idle.push_back(port.get());
    expiring_++;
  }
  for (Port* port : idle) {
    PortOf(port->service_port)->service->sockets.erase(port->stands_for);
    ClosePort(port);
  }
}

void RelayCore::SweepPeers(Port* port) {
  for (auto peer = port->peers.begin(); peer != port->peers.end();) {
    const Binding& binding = peer->second;
    const bool idle = binding.idle_ms > 0 && now_ms_ - binding.used_ms >= binding.idle_ms;
    if (idle) upcalls_->Tell(Upcall::kIdle, port->id, 0, 0, peer->first, {}, nullptr, 0);
    if (!idle && binding.idle_ms > 0) expiring_++;
    peer = idle ? port->peers.erase(peer) : std::next(peer);
  }
}

bool Network::Contains(const Address& other) const {
  if (other.family != address.family) return false;
  const size_t whole = prefix_bits / 8;
  if (memcmp(address.bytes, other.bytes, whole) != 0) return false;
  const int left = 8 - prefix_bits % 8;
  return left == 8 || ((address.bytes[whole] ^ other.bytes[whole]) >> left) == 0;
}

}  // namespace entremise
