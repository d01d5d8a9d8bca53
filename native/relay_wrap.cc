// Arguments checked, answers made; no logic. How a call answers stands at the head of sockets_wrap.cc. What is asked of
// a relay that is closed is passed over, like everything about ids that are gone.
#include "relay_wrap.h"

#include <cerrno>

#include "arguments.h"
#include "errno_name.h"
#include "instance.h"
#include "relay.h"
#include "relay_arguments.h"

namespace entremise {
namespace {

using Napi::CallbackInfo;
using Napi::Value;

Value OpenRelay(const CallbackInfo& info) {
  Arguments arguments(info);
  const Napi::Function callback = arguments.Function(0, "callback");
  RelayTimes times;
  times.old_epoch_ms = arguments.Unsigned(1, "oldEpochMs");
  times.hold_ms = arguments.Unsigned(2, "holdMs");
  times.part_ms = arguments.Unsigned(3, "partMs");
  times.approval_idle_ms = arguments.Unsigned(4, "approvalIdleMs");
  times.sweep_ms = arguments.Unsigned(5, "sweepMs");
  if (!arguments.ok()) return Value();
  uint32_t id = 0;
  const int error = Instance::Of(info.Env()).relays().Start(info.Env(), callback, times, &id);
  return error != 0 ? ErrnoName(info.Env(), error) : Napi::Number::New(info.Env(), id);
}

Value CloseRelay(const CallbackInfo& info) {
  Arguments arguments(info);
  const uint32_t id = arguments.Unsigned(0, "relay");
  if (!arguments.ok()) return Value();
  return Done(info.Env(), Instance::Of(info.Env()).relays().Close(id) ? 0 : EBADF);
}

Value IdOr(Napi::Env env, int error, uint32_t id) {
  return error != 0 ? ErrnoName(env, error) : Napi::Number::New(env, id);
}

Value OpenServiceDoor(const CallbackInfo& info) {
  RelayArguments arguments(info);
  const std::string address = arguments.Text(1, "address");
  const auto number = static_cast<uint16_t>(arguments.Number(2, UINT16_MAX, "number"));
  uint32_t id = 0;
  Relay* relay = arguments.relay();
  const int error = relay == nullptr ? EBADF : relay->OpenServiceDoor(address, number, &id);
  return arguments.ok() ? IdOr(info.Env(), error, id) : Value();
}

Value OpenMemberDoor(const CallbackInfo& info) {
  RelayArguments arguments(info);
  const Endpoint server = arguments.Peer(1);
  uint32_t id = 0;
  Relay* relay = arguments.relay();
  const int error = relay == nullptr ? EBADF : server.known() ? relay->OpenMemberDoor(server, &id) : EINVAL;
  return arguments.ok() ? IdOr(info.Env(), error, id) : Value();
}

Value DoorNumber(const CallbackInfo& info) {
  RelayArguments arguments(info);
  const uint32_t id = arguments.Id(1);
  Relay* relay = arguments.relay();
  return arguments.ok() ? Napi::Number::New(info.Env(), relay == nullptr ? 0 : relay->DoorNumber(id)) : Value();
}

Value AddPort(const CallbackInfo& info) {
  RelayArguments arguments(info);
  const int fd = arguments.FdNumber(1);
  PortRules rules;
  rules.approve = arguments.Flag(2, "approve");
  const bool broadcast = arguments.Flag(3, "broadcast");
  rules.only_from = arguments.Networks(4);
  Relay* relay = arguments.relay();
  if (!arguments.ok()) return Value();
  if (relay == nullptr) return ErrnoName(info.Env(), EBADF);
  Instance& instance = Instance::Of(info.Env());
  Fd taken = instance.Give(fd);
  uint32_t id = 0;
  const int error = taken.valid() ? relay->AddPort(&taken, std::move(rules), broadcast, &id) : EBADF;
  if (taken.valid()) instance.Own(std::move(taken));
  return IdOr(info.Env(), error, id);
}

Value AddService(const CallbackInfo& info) {
  RelayArguments arguments(info);
  Service service;
  service.at = arguments.Peer(1);
  service.max_peers = arguments.Unsigned(2, "maxPeers");
  service.idle_ms = arguments.Unsigned(3, "idleMs");
  service.peers_per_second = arguments.Unsigned(4, "peersPerSecond");
  Relay* relay = arguments.relay();
  if (!arguments.ok()) return Value();
  if (relay == nullptr) return ErrnoName(info.Env(), EBADF);
  if (!service.at.known()) return ErrnoName(info.Env(), EINVAL);
  return IdOr(info.Env(), 0, relay->AddService(std::move(service)));
}

void AddChannel(RelayArguments& arguments) {
  const uint32_t cid = arguments.Id(1);
  const uint8_t epoch = arguments.Byte(2, "epoch");
  auto seal = arguments.Key(3, Aead::Use::kSeal);
  auto open = arguments.Key(6, Aead::Use::kOpen);
  if (Relay* relay = arguments.relay()) relay->AddChannel(cid, epoch, std::move(seal), std::move(open));
}

void AddEpoch(RelayArguments& arguments) {
  const uint32_t cid = arguments.Id(1);
  const uint8_t epoch = arguments.Byte(2, "epoch");
  auto seal = arguments.Key(3, Aead::Use::kSeal);
  auto open = arguments.Key(6, Aead::Use::kOpen);
  const bool seal_now = arguments.Flag(9, "sealNow");
  if (Relay* relay = arguments.relay()) relay->AddEpoch(cid, epoch, std::move(seal), std::move(open), seal_now);
}

void SetPath(RelayArguments& arguments) {
  const uint32_t cid = arguments.Id(1);
  const Path path = {arguments.Id(2), arguments.Peer(3), arguments.Number(4, UINT16_MAX, "packetBytes"),
                     arguments.Number(5, UINT16_MAX, "bundleBytes")};
  if (Relay* relay = arguments.relay()) relay->SetPath(cid, path);
}

void LimitPort(RelayArguments& arguments) {
  const uint32_t port = arguments.Id(1);
  const uint32_t group = arguments.Unsigned(2, "group");
  const uint32_t bytes_per_second = arguments.Unsigned(3, "bytesPerSecond");
  if (Relay* relay = arguments.relay()) relay->LimitPort(port, group, bytes_per_second);
}

// A function of Relay that takes a port and a peer.
template <void (Relay::*kAct)(uint32_t, const Endpoint&)>
void OnPeer(RelayArguments& arguments) {
  const uint32_t port = arguments.Id(1);
  const Endpoint peer = arguments.Peer(2);
  if (Relay* relay = arguments.relay()) (relay->*kAct)(port, peer);
}

void BindPort(RelayArguments& arguments) {
  const uint32_t port = arguments.Id(1);
  const Target to = arguments.To(2);
  if (Relay* relay = arguments.relay()) relay->BindPort(port, to);
}

void BindPeer(RelayArguments& arguments) {
  const uint32_t port = arguments.Id(1);
  const Endpoint peer = arguments.Peer(2);
  const Target to = arguments.To(3);
  const uint32_t idle_ms = arguments.Unsigned(8, "idleMs");
  if (Relay* relay = arguments.relay()) relay->BindPeer(port, peer, to, idle_ms);
}

void BindRoute(RelayArguments& arguments) {
  const RouteId id = {arguments.Id(1), arguments.Id(2)};
  const bool held = arguments.Flag(3, "held");
  Target to = arguments.To(4);
  to.only = arguments.Peer(9);
  if (Relay* relay = arguments.relay()) relay->BindRoute(id, to, held);
}

void UnbindRoute(RelayArguments& arguments) {
  const RouteId id = {arguments.Id(1), arguments.Id(2)};
  if (Relay* relay = arguments.relay()) relay->UnbindRoute(id);
}

void SendControl(RelayArguments& arguments) {
  const uint32_t cid = arguments.Id(1);
  const uint32_t door = arguments.Id(2);
  const Endpoint to = arguments.Peer(3);
  const uint8_t kind = arguments.Byte(4, "kind");
  const Napi::Uint8Array body = arguments.Bytes(5, "body");
  if (Relay* relay = arguments.relay()) relay->SendControl(cid, door, to, kind, body.Data(), body.ByteLength());
}

void SendDatagram(RelayArguments& arguments) {
  const RouteId id = {arguments.Id(1), arguments.Id(2)};
  const Endpoint peer = arguments.Peer(3);
  const Napi::Uint8Array bytes = arguments.Bytes(4, "bytes");
  if (Relay* relay = arguments.relay()) relay->SendDatagram(id, peer, bytes.Data(), bytes.ByteLength());
}

void SendPlain(RelayArguments& arguments) {
  const uint32_t port = arguments.Id(1);
  const Endpoint peer = arguments.Peer(2);
  const Endpoint from = arguments.Peer(3);
  const Napi::Uint8Array bytes = arguments.Bytes(4, "bytes");
  if (Relay* relay = arguments.relay()) relay->SendPlain(port, peer, from.address, bytes.Data(), bytes.ByteLength());
}

// A function of Relay that takes an id.
template <void (Relay::*kAct)(uint32_t)>
void OnId(RelayArguments& arguments) {
  const uint32_t id = arguments.Id(1);
  if (Relay* relay = arguments.relay()) (relay->*kAct)(id);
}

// What answers nothing.
template <void (*kCall)(RelayArguments&)>
Value Ask(const CallbackInfo& info) {
  RelayArguments arguments(info);
  kCall(arguments);
  return arguments.ok() ? info.Env().Undefined() : Value();
}

// Upcalls dropped · then for each thing that counts: what it is, its id, its counts.
Value Counters(const CallbackInfo& info) {
  RelayArguments arguments(info);
  Relay* relay = arguments.relay();
  if (!arguments.ok()) return Value();
  const size_t things = relay == nullptr ? 0 : relay->counters().size();
  Napi::Float64Array result = Napi::Float64Array::New(info.Env(), 1 + things * (2 + RelayCounters::kNumber));
  if (relay == nullptr) return result;
  double* at = result.Data();
  *at++ = static_cast<double>(relay->upcalls_dropped());
  for (const auto& [key, counters] : relay->counters()) {
    *at++ = static_cast<double>(key.first);
    *at++ = key.second;
    for (size_t index = 0; index < RelayCounters::kNumber; index++) *at++ = static_cast<double>(counters->Read(index));
  }
  return result;
}

Value ChannelCounters(const CallbackInfo& info) {
  RelayArguments arguments(info);
  const uint32_t cid = arguments.Id(1);
  Relay* relay = arguments.relay();
  if (!arguments.ok()) return Value();
  const RelayCounters* counters = relay == nullptr ? nullptr : relay->ChannelCounters(cid);
  Napi::Float64Array result = Napi::Float64Array::New(info.Env(), counters == nullptr ? 0 : RelayCounters::kNumber);
  for (size_t index = 0; index < result.ElementLength(); index++) {
    result[index] = static_cast<double>(counters->Read(index));
  }
  return result;
}

}  // namespace

void ExportRelays(Napi::Env env, Napi::Object exports) {
  const auto put = [&](const char* name, Value (*function)(const CallbackInfo&)) {
    static_cast<void>(exports.Set(name, Napi::Function::New(env, function, name)));
  };
  put("openRelay", OpenRelay);
  put("closeRelay", CloseRelay);
  put("relayCounters", Counters);
  put("relayChannelCounters", ChannelCounters);
  put("relayOpenServiceDoor", OpenServiceDoor);
  put("relayOpenMemberDoor", OpenMemberDoor);
  put("relayDoorNumber", DoorNumber);
  put("relayAddPort", AddPort);
  put("relayAddService", AddService);
  put("relayCloseDoor", Ask<OnId<&Relay::CloseDoor>>);
  put("relayAddChannel", Ask<AddChannel>);
  put("relayAddEpoch", Ask<AddEpoch>);
  put("relaySetPath", Ask<SetPath>);
  put("relayRemoveChannel", Ask<OnId<&Relay::RemoveChannel>>);
  put("relayRemovePort", Ask<OnId<&Relay::RemovePort>>);
  put("relayLimitPort", Ask<LimitPort>);
  put("relayApprove", Ask<OnPeer<&Relay::Approve>>);
  put("relayRefuse", Ask<OnPeer<&Relay::Refuse>>);
  put("relayClearApprovals", Ask<OnId<&Relay::ClearApprovals>>);
  put("relayBindPort", Ask<BindPort>);
  put("relayBindPeer", Ask<BindPeer>);
  put("relayBindRoute", Ask<BindRoute>);
  put("relayUnbindRoute", Ask<UnbindRoute>);
  put("relaySendControl", Ask<SendControl>);
  put("relaySendDatagram", Ask<SendDatagram>);
  put("relaySendPlain", Ask<SendPlain>);
}

}  // namespace entremise
