// How a call answers: see sockets_wrap.cc.
#include "packet_wrap.h"

#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "arguments.h"
#include "errno_name.h"
#include "instance.h"
#include "packet_watch.h"

namespace entremise {
namespace {

using Napi::CallbackInfo;
using Napi::Value;

Value WatchPackets(const CallbackInfo& info) {
  Arguments arguments(info);
  const std::string interface = arguments.Text(0, "interface");
  const Napi::Function callback = arguments.Function(1, "callback");
  if (!arguments.ok()) return Value();
  // An embedded NUL would cut the name short of what was checked.
  if (interface.find('\0') != std::string::npos) return ErrnoName(info.Env(), EINVAL);
  int watch = -1;
  const int error = Instance::Of(info.Env()).WatchPackets(info.Env(), interface, callback, &watch);
  return error != 0 ? ErrnoName(info.Env(), error) : Napi::Number::New(info.Env(), watch);
}

Value OpenRaw(const CallbackInfo& info) {
  Arguments arguments(info);
  const bool ipv6 = arguments.Flag(0, "ipv6");
  if (!arguments.ok()) return Value();
  Fd opened;
  const int error = OpenRawIp(ipv6 ? AF_INET6 : AF_INET, &opened);
  if (error != 0) return ErrnoName(info.Env(), error);
  const Value number = Napi::Number::New(info.Env(), opened.number());
  Instance::Of(info.Env()).Own(std::move(opened));
  return number;
}

Value Send(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  const uint32_t mark = arguments.Unsigned(1, "mark");
  const Napi::Uint8Array packet = arguments.Bytes(2, "packet");
  if (!arguments.ok()) return Value();
  return Done(info.Env(), SendMarked(fd, mark, packet.Data(), packet.ByteLength()));
}

Value Transparent(const CallbackInfo& info) {
  Arguments arguments(info);
  const int fd = arguments.FdNumber(0);
  return arguments.ok() ? Done(info.Env(), SetTransparent(fd)) : Value();
}

}  // namespace

void ExportPackets(Napi::Env env, Napi::Object exports) {
  const auto put = [&](const char* name, Value (*function)(const CallbackInfo&)) {
    static_cast<void>(exports.Set(name, Napi::Function::New(env, function, name)));
  };
  put("watchPackets", WatchPackets);
  put("openRawIp", OpenRaw);
  put("sendMarked", Send);
  put("setTransparent", Transparent);
}

}  // namespace entremise
