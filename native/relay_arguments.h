// What calls about relays take, checked. A TypeError is pending when something is not as it must be.
#pragma once

#include <memory>
#include <vector>

#include "arguments.h"
#include "instance.h"
#include "relay.h"

namespace entremise {

// Arguments of a call whose first one is a relay.
class RelayArguments : public Arguments {
 public:
  explicit RelayArguments(const Napi::CallbackInfo& info) : Arguments(info) {
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
    to.kind = static_cast<Target::Kind>(Number(index, 3, "kind"));
    to.port = Id(index + 1);
    to.route = {Id(index + 2), Id(index + 3)};
    to.peer = Peer(index + 4);
    return to;
  }
  // Peers one after another, whose numbers are lengths of prefixes.
  std::vector<Network> Networks(size_t index) {
    const Napi::Uint8Array bytes = Bytes(index, "networks");
    std::vector<Network> networks;
    for (size_t at = 0; ok() && at < bytes.ByteLength();) {
      Endpoint each;
      const size_t length = Endpoint::Read(bytes.Data() + at, bytes.ByteLength() - at, &each);
      if (length == 0 || each.number > each.address.length() * 8) {
        Refuse("networks", "addresses with lengths of prefixes");
        break;
      }
      networks.push_back({each.address, each.number});
      at += length;
    }
    return networks;
  }

 private:
  Relay* relay_ = nullptr;
};

}  // namespace entremise
