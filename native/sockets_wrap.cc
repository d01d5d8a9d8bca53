// How a call answers (src/native/addon.ts has the types): wrong types throw a TypeError; what the kernel refuses
// is the errno's name as a string; otherwise the value, or undefined where there is none.
#include "sockets_wrap.h"

#include <cerrno>
#include <string>
#include <vector>

#include "arguments.h"
#include "errno_name.h"
#include "instance.h"
#include "netlink.h"
#include "resident.h"
#include "sockets.h"
#include "tcp_path.h"

namespace entremise {
namespace {

using Napi::CallbackInfo;
using Napi::Value;

// For fds and watches that the addon does not own: the same as a closed one.
Value Known(Napi::Env env, bool known) { return Done(env, known ? 0 : EBADF); }

// Defining a property of a fresh plain object cannot fail; the Maybe has nothing to tell.
template <typename T>
void Put(Napi::Object object, const char* name, T value) {
  static_cast<void>(object.Set(name, value));
}

Value Reserved(Napi::Env env, Transport transport, const std::string& address, uint32_t port, const UdpScope& scope) {
  BoundSocket bound;
  const int error = Reserve(transport, address, static_cast<uint16_t>(port), scope, &bound);
  if (error != 0) return ErrnoName(env, error);
  Napi::Object result = Napi::Object::New(env);
  Put(result, "fd", bound.fd.number());
  Put(result, "address", bound.address);
  Put(result, "port", static_cast<uint32_t>(bound.port));
  Instance::Of(env).Own(std::move(bound.fd));
  return result;
}

template <Transport kTransport>
Value ReserveNumber(const CallbackInfo& info) {
  Arguments arguments(info);
  const std::string address = arguments.Text(0, "address");
  const uint32_t port = arguments.Number(1, UINT16_MAX, "port");
  return arguments.ok() ? Reserved(info.Env(), kTransport, address, port, UdpScope()) : Value();
}

Value ReserveScopedUdp(const CallbackInfo& info) {
  Arguments arguments(info);
  const std::string address = arguments.Text(0, "address");
  const uint32_t port = arguments.Number(1, UINT16_MAX, "port");
  UdpScope scope;
  scope.interface = arguments.Text(2, "interface");
  scope.shared = arguments.Flag(3, "shared");
  if (!arguments.ok()) return Value();
  // An embedded NUL would cut the name short of what was checked.
  if (scope.interface.find('\0') != std::string::npos) return ErrnoName(info.Env(), EINVAL);
  return Reserved(info.Env(), Transport::kUdp, address, port, scope);
}

Value DuplicateFd(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  if (!arguments.ok()) return Value();
  Fd copy;
  const int error = Duplicate(fd, &copy);
  if (error != 0) return ErrnoName(info.Env(), error);
  const int number = copy.number();
  Instance::Of(info.Env()).Own(std::move(copy));
  return Napi::Number::New(info.Env(), number);
}

// A function of Instance that takes an fd and says whether it knew it.
template <bool (Instance::*kAct)(int)>
Value OnKnownFd(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  if (!arguments.ok()) return Value();
  return Known(info.Env(), (Instance::Of(info.Env()).*kAct)(fd));
}

// A function of sockets.h or tcp_path.h that takes an fd alone.
template <int (*kAct)(int)>
Value OnFd(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  return arguments.ok() ? Done(info.Env(), kAct(fd)) : Value();
}

// A function of sockets.h or tcp_path.h that takes an fd and a number.
template <int (*kAct)(int, uint32_t)>
Value OnFdWithNumber(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  const uint32_t number = arguments.Unsigned(1, "value");
  return arguments.ok() ? Done(info.Env(), kAct(fd, number)) : Value();
}

Value ReuseAddress(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  const bool on = arguments.Flag(1, "on");
  return arguments.ok() ? Done(info.Env(), SetReuseAddress(fd, on)) : Value();
}

Value KeepAlive(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  const uint32_t idle_s = arguments.Unsigned(1, "idleS");
  const uint32_t interval_s = arguments.Unsigned(2, "intervalS");
  const uint32_t count = arguments.Unsigned(3, "count");
  return arguments.ok() ? Done(info.Env(), SetKeepAlive(fd, idle_s, interval_s, count)) : Value();
}

Value SocketError(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  if (!arguments.ok()) return Value();
  int pending = 0;
  const int error = TakeSocketError(fd, &pending);
  return Done(info.Env(), error != 0 ? error : pending);
}

// A function of sockets.h or tcp_path.h that counts bytes of an fd.
template <int (*kCount)(int, uint32_t*)>
Value BytesOf(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  if (!arguments.ok()) return Value();
  uint32_t count = 0;
  const int error = kCount(fd, &count);
  return error != 0 ? ErrnoName(info.Env(), error) : Napi::Number::New(info.Env(), count);
}

Value Read(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  Napi::Uint8Array buffer = arguments.Bytes(1, "buffer");
  if (!arguments.ok()) return Value();
  size_t got = 0;
  // A detached or empty buffer has length 0: there is nowhere to read to.
  const size_t capacity = buffer.ByteLength();
  const int error = capacity == 0 ? EINVAL : ReadNow(fd, buffer.Data(), capacity, &got);
  return error != 0 ? ErrnoName(info.Env(), error) : Napi::Number::New(info.Env(), static_cast<double>(got));
}

Value TcpInfoOf(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  if (!arguments.ok()) return Value();
  TcpInfo tcp;
  const int error = GetTcpInfo(fd, &tcp);
  if (error != 0) return ErrnoName(info.Env(), error);
  Napi::Object result = Napi::Object::New(info.Env());
  Put(result, "state", static_cast<double>(tcp.state));
  Put(result, "rttUs", static_cast<double>(tcp.rtt_us));
  Put(result, "rttVarUs", static_cast<double>(tcp.rtt_var_us));
  Put(result, "minRttUs", static_cast<double>(tcp.min_rtt_us));
  Put(result, "bytesAcked", static_cast<double>(tcp.bytes_acked));
  Put(result, "bytesReceived", static_cast<double>(tcp.bytes_received));
  Put(result, "unackedSegments", static_cast<double>(tcp.unacked_segments));
  Put(result, "notSentBytes", static_cast<double>(tcp.not_sent_bytes));
  Put(result, "sinceAckMs", static_cast<double>(tcp.since_ack_ms));
  Put(result, "retransmits", static_cast<double>(tcp.retransmits));
  Put(result, "totalRetransmits", static_cast<double>(tcp.total_retransmits));
  Put(result, "pacingRate", static_cast<double>(tcp.pacing_rate));
  Put(result, "busyUs", static_cast<double>(tcp.busy_us));
  Put(result, "deliveryRate", static_cast<double>(tcp.delivery_rate));
  return result;
}

Value WatchDisconnect(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  const Napi::Function callback = arguments.Function(1, "callback");
  if (!arguments.ok()) return Value();
  int watch = -1;
  const int error = Instance::Of(info.Env()).Watch(info.Env(), fd, callback, &watch);
  return error != 0 ? ErrnoName(info.Env(), error) : Napi::Number::New(info.Env(), watch);
}

Value WatchNetwork(const CallbackInfo& info) {
  Arguments arguments(info);
  const Napi::Function callback = arguments.Function(0, "callback");
  if (!arguments.ok()) return Value();
  int watch = -1;
  const int error = Instance::Of(info.Env()).WatchNetwork(info.Env(), callback, &watch);
  return error != 0 ? ErrnoName(info.Env(), error) : Napi::Number::New(info.Env(), watch);
}

// A house has tens; more than this is somebody's attempt to fill memory.
constexpr size_t kMostNeighbours = 4096;

Value Neighbours(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<Neighbour> found;
  const int error = ListNeighbours(kMostNeighbours, &found);
  if (error != 0) return ErrnoName(env, error);
  Napi::Array result = Napi::Array::New(env, found.size());
  for (uint32_t index = 0; index < found.size(); index++) {
    const Neighbour& neighbour = found[index];
    Napi::Object entry = Napi::Object::New(env);
    Put(entry, "interface", neighbour.interface);
    const auto bytes = [env](const std::vector<uint8_t>& from) {
      return Napi::Buffer<uint8_t>::Copy(env, from.data(), from.size());
    };
    Put(entry, "address", bytes(neighbour.address));
    Put(entry, "hardwareAddress", bytes(neighbour.hardware_address));
    Put(entry, "state", static_cast<double>(neighbour.state));
    static_cast<void>(result.Set(index, entry));
  }
  return result;
}

template <void (*Give)()>
Value GiveMemoryBack(const CallbackInfo& info) {
  Give();
  return info.Env().Undefined();
}

Value MapPieces(const CallbackInfo& info) {
  MapLargePieces();
  return info.Env().Undefined();
}

}  // namespace

void ExportSockets(Napi::Env env, Napi::Object exports) {
  const auto put = [&](const char* name, Value (*function)(const CallbackInfo&)) {
    Put(exports, name, Napi::Function::New(env, function, name));
  };
  put("reserveTcp", ReserveNumber<Transport::kTcp>);
  put("reserveUdp", ReserveNumber<Transport::kUdp>);
  put("reserveScopedUdp", ReserveScopedUdp);
  put("duplicate", DuplicateFd);
  put("release", OnKnownFd<&Instance::Release>);
  put("close", OnKnownFd<&Instance::Close>);
  put("disconnect", OnFd<Disconnect>);
  put("setReuseAddress", ReuseAddress);
  put("setLingerZero", OnFd<SetLingerZero>);
  put("clearLinger", OnFd<ClearLinger>);
  put("setNotSentLowat", OnFdWithNumber<SetNotSentLowat>);
  put("setUserTimeout", OnFdWithNumber<SetUserTimeout>);
  put("setRetransmitMax", OnFdWithNumber<SetRetransmitMax>);
  put("useBbr", OnFd<UseBbr>);
  put("setPacingRate", OnFdWithNumber<SetPacingRate>);
  put("restartBbr", OnFd<RestartBbr>);
  put("setKeepAlive", KeepAlive);
  put("socketError", SocketError);
  put("unreadBytes", BytesOf<UnreadBytes>);
  put("unsentBytes", BytesOf<UnsentBytes>);
  put("readNow", Read);
  put("tcpInfo", TcpInfoOf);
  put("watchDisconnect", WatchDisconnect);
  put("neighbours", Neighbours);
  put("watchNetwork", WatchNetwork);
  put("trimHeap", GiveMemoryBack<TrimHeap>);
  put("unmapProgram", GiveMemoryBack<UnmapProgram>);
  put("mapLargePieces", MapPieces);
  put("closeWatch", OnKnownFd<&Instance::CloseWatch>);
}

}  // namespace entremise
