// Doors, channels, ports and bindings come and go; what passes through them is in relay_receive.cc and relay_send.cc.
#include "relay_core.h"

#include <algorithm>

#include "relay_tags.h"

namespace entremise {
namespace {

constexpr int kSweepMs = 5'000;

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
  auto channel = std::make_unique<Channel>(times_.part_ms);
  channel->cid = cid;
  channel->sealer.Install(epoch, std::move(seal));
  channel->opener.Install(epoch, std::move(open), 0);
  channel->counters = std::move(counters);
  channels_[cid] = std::move(channel);
}

void RelayCore::AddEpoch(uint32_t cid, uint8_t epoch, std::unique_ptr<Aead> open) {
  if (Channel* channel = ChannelOf(cid)) {
    channel->opener.Install(epoch, std::move(open), MonotonicMs() + times_.old_epoch_ms);
  }
}

void RelayCore::SealWith(uint32_t cid, uint8_t epoch, std::unique_ptr<Aead> seal) {
  Channel* channel = ChannelOf(cid);
  if (channel == nullptr) return;
  channel->sealer.Install(epoch, std::move(seal));
  channel->told_spent = false;
}

void RelayCore::SetPath(uint32_t cid, const Path& path) {
  if (Channel* channel = ChannelOf(cid)) channel->path = path;
}

void RelayCore::RemoveChannel(uint32_t cid) {
  Channel* channel = ChannelOf(cid);
  if (channel == nullptr) return;
  Flush();
  for (auto& [route, binding] : channel->routes) EndRoute(&binding);
  channels_.erase(cid);
  for (auto& [id, port] : ports_) {
    if (LeadsTo(port->target, cid)) port->target = ToScript();
    for (auto peer = port->peers.begin(); peer != port->peers.end();) {
      peer = LeadsTo(peer->second, cid) ? port->peers.erase(peer) : std::next(peer);
    }
  }
  for (auto& [other, leading] : channels_) {
    for (auto& [route, binding] : leading->routes) {
      if (LeadsTo(binding.target, cid)) binding.target = ToScript();
    }
  }
}

void RelayCore::AddPort(uint32_t id, UdpSocket socket, bool approve, std::shared_ptr<RelayCounters> counters) {
  auto port = std::make_unique<Port>(times_.approval_idle_ms);
  port->id = id;
  port->socket = std::move(socket);
  port->approve = approve;
  port->target = ToScript();
  port->counters = std::move(counters);
  thread_->Watch(port->socket.fd.number(), PortTag(id));
  ports_[id] = std::move(port);
}

void RelayCore::RemovePort(uint32_t id) {
  if (Port* port = PortOf(id)) ClosePort(port);
}

void RelayCore::ClosePort(Port* port) {
  Flush();
  if (port->is_service) service_ports_--;
  thread_->Unwatch(port->socket.fd.number());
  ports_.erase(port->id);
}

void RelayCore::Approve(uint32_t port, const Endpoint& peer) {
  if (Port* found = PortOf(port)) found->approved.Put(peer, true, MonotonicMs());
}

void RelayCore::ClearApprovals(uint32_t port) {
  Flush();
  if (Port* found = PortOf(port)) found->approved.Clear();
}

void RelayCore::BindPort(uint32_t port, const Target& to) {
  if (Port* found = PortOf(port)) found->target = to;
}

void RelayCore::BindPeer(uint32_t port, const Endpoint& peer, const Target& to) {
  Port* found = PortOf(port);
  if (found == nullptr) return;
  if (to.kind == Target::Kind::kScript) {
    found->peers.erase(peer);
  } else {
    found->peers[peer] = to;
  }
}

void RelayCore::BindRoute(const RouteId& id, const Target& to, bool held) {
  Channel* channel = ChannelOf(id.cid);
  if (channel == nullptr) return;
  Route& route = channel->routes[id.route];
  if (route.service != nullptr) EndRoute(&route);
  route.target = to;
  if (to.kind == Target::Kind::kService) route.service = std::make_unique<Service>();
  if (held) {
    route.held = true;
  } else {
    Release(channel, id, &route);
  }
}

void RelayCore::UnbindRoute(const RouteId& id) {
  Route* route = RouteOf(id);
  if (route == nullptr) return;
  EndRoute(route);
  ChannelOf(id.cid)->routes.erase(id.route);
}

// Its sockets, when it leads to a service.
void RelayCore::EndRoute(Route* route) {
  if (route->service == nullptr) return;
  for (const auto& [peer, id] : route->service->ports) {
    if (Port* port = PortOf(id)) ClosePort(port);
  }
  route->service.reset();
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
  if (service_ports_ > 0) {
    if (now_ms - swept_ms_ >= kSweepMs) SweepServices();
    sooner(kSweepMs);
  }
  Flush();
  return wait_ms;
}

void RelayCore::SweepServices() {
  swept_ms_ = now_ms_;
  std::vector<Port*> idle;
  for (auto& [id, port] : ports_) {
    if (port->is_service && now_ms_ - port->used_ms >= port->idle_ms) idle.push_back(port.get());
  }
  for (Port* port : idle) {
    Route* route = RouteOf(port->owner);
    if (route != nullptr && route->service != nullptr) route->service->ports.erase(port->target.peer);
    ClosePort(port);
  }
}

}  // namespace entremise
