// Arguments checked, answers made; no logic. How a call answers stands at the head of sockets_wrap.cc. What is asked of
// a relay that is closed is passed over, like everything about ids that are gone.
#include "relay_wrap.h"

#include <cerrno>

#include "arguments.h"
#include "errno_name.h"
#include "instance.h"
#include "relay.h"

namespace entremise {
namespace {

using Napi::CallbackInfo;
using Napi::Value;

// Arguments of a call whose first one is a relay.
class RelayArguments : public Arguments {
 public:
  explicit RelayArguments(const CallbackInfo& info) : Arguments(info) {
    relay_ = Instance::Of(info.Env()).relays().Find(Unsigned(0, "relay"));
  }
  // Null: there is nothing to do, either because a TypeError is pending or because the relay is closed.
  Relay* relay() { return ok() ? relay_ : nullptr; }

  uint32_t Id(size_t index) { return Unsigned(index, "id"); }
  uint8_t Byte(size_t index, const char* name) { return static_cast<uint8_t>(Number(index, 255, name)); }
  // A peer as it stands in packets, or no bytes.
  Endpoint Peer(size_t index) {
    const Napi::Uint8Array bytes = Bytes(index, "peer");
    Endpoint peer;
    if (ok() && bytes.ByteLength() > 0) Endpoint::Read(bytes.Data(), bytes.ByteLength(), &peer);
    return peer;
  }
  std::unique_ptr<Aead> Key(size_t index, Aead::Use use) {
    const auto suite = static_cast<Aead::Suite>(Number(index, 2, "suite"));
    const Napi::Uint8Array key = Bytes(index + 1, "key");
    const Napi::Uint8Array iv = Bytes(index + 2, "iv");
    if (!ok()) return nullptr;
    auto made = Aead::Create(suite, use, key.Data(), key.ByteLength(), iv.Data(), iv.ByteLength());
    if (made == nullptr) Refuse("key", "of the suite's length");
    return made;
  }
  // kind · port · cid · route · peer, five arguments.
  Target To(size_t index) {
    Target to;
    to.kind = static_cast<Target::Kind>(Number(index, 4, "kind"));
    to.port = Id(index + 1);
    to.route = {Id(index + 2), Id(index + 3)};
    to.peer = Peer(index + 4);
    return to;
  }

 private:
  Relay* relay_ = nullptr;
};

Value OpenRelay(const CallbackInfo& info) {
  Arguments arguments(info);
  const Napi::Function callback = arguments.Function(0, "callback");
  RelayTimes times;
  times.old_epoch_ms = arguments.Unsigned(1, "oldEpochMs");
  times.hold_ms = arguments.Unsigned(2, "holdMs");
  times.part_ms = arguments.Unsigned(3, "partMs");
  times.approval_idle_ms = arguments.Unsigned(4, "approvalIdleMs");
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

Value AddPort(const CallbackInfo& info) {
  RelayArguments arguments(info);
  const int fd = arguments.FdNumber(1);
  const bool approve = arguments.Flag(2, "approve");
  const bool broadcast = arguments.Flag(3, "broadcast");
  Relay* relay = arguments.relay();
  if (!arguments.ok()) return Value();
  if (relay == nullptr) return ErrnoName(info.Env(), EBADF);
  Instance& instance = Instance::Of(info.Env());
  Fd taken = instance.Give(fd);
  uint32_t id = 0;
  const int error = taken.valid() ? relay->AddPort(&taken, approve, broadcast, &id) : EBADF;
  if (taken.valid()) instance.Own(std::move(taken));
  return IdOr(info.Env(), error, id);
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
  auto open = arguments.Key(3, Aead::Use::kOpen);
  if (Relay* relay = arguments.relay()) relay->AddEpoch(cid, epoch, std::move(open));
}

void SealWith(RelayArguments& arguments) {
  const uint32_t cid = arguments.Id(1);
  const uint8_t epoch = arguments.Byte(2, "epoch");
  auto seal = arguments.Key(3, Aead::Use::kSeal);
  if (Relay* relay = arguments.relay()) relay->SealWith(cid, epoch, std::move(seal));
}

void SetPath(RelayArguments& arguments) {
  const uint32_t cid = arguments.Id(1);
  const Path path = {arguments.Id(2), arguments.Peer(3), arguments.Number(4, UINT16_MAX, "packetBytes")};
  if (Relay* relay = arguments.relay()) relay->SetPath(cid, path);
}

void Approve(RelayArguments& arguments) {
  const uint32_t port = arguments.Id(1);
  const Endpoint peer = arguments.Peer(2);
  if (Relay* relay = arguments.relay()) relay->Approve(port, peer);
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
  if (Relay* relay = arguments.relay()) relay->BindPeer(port, peer, to);
}

void BindRoute(RelayArguments& arguments) {
  const RouteId id = {arguments.Id(1), arguments.Id(2)};
  const bool held = arguments.Flag(3, "held");
  Target to = arguments.To(4);
  to.max_peers = arguments.Unsigned(9, "maxPeers");
  to.idle_ms = arguments.Unsigned(10, "idleMs");
  to.peers_per_second = arguments.Unsigned(11, "peersPerSecond");
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
  put("relayAddPort", AddPort);
  put("relayCloseDoor", Ask<OnId<&Relay::CloseDoor>>);
  put("relayAddChannel", Ask<AddChannel>);
  put("relayAddEpoch", Ask<AddEpoch>);
  put("relaySealWith", Ask<SealWith>);
  put("relaySetPath", Ask<SetPath>);
  put("relayRemoveChannel", Ask<OnId<&Relay::RemoveChannel>>);
  put("relayRemovePort", Ask<OnId<&Relay::RemovePort>>);
  put("relayApprove", Ask<Approve>);
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
