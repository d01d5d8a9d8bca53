#include "instance.h"

#include <uv.h>

#include "callback.h"

namespace entremise {
namespace {

void KeptUntilTeardown(Napi::Env /*env*/, Instance* /*instance*/) {
  // The clean-up hook deletes the instance: libuv may still hold its watches when N-API lets go of it.
}

}  // namespace

void Instance::Create(Napi::Env env) {
  auto* instance = new Instance(env);
  env.SetInstanceData<Instance, KeptUntilTeardown>(instance);
  napi_add_async_cleanup_hook(env, OnTeardown, instance, nullptr);
}

Fd Instance::Give(int fd) {
  const auto entry = owned_.find(fd);
  if (entry == owned_.end()) return Fd();
  Fd given = std::move(entry->second);
  owned_.erase(entry);
  return given;
}

bool Instance::Release(int fd) {
  Fd given = Give(fd);
  return given.Release() >= 0;
}

int Instance::Hold(Napi::Function callback, std::unique_ptr<Watched> watched, FdWatch* watch, int* name) {
  watched->watch = watch;
  watched->callback = Napi::Persistent(callback);
  *name = watch->fd();
  watches_[*name] = std::move(watched);
  return 0;
}

int Instance::Watch(Napi::Env env, int fd, Napi::Function callback, int* name) {
  uv_loop_s* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return ENOSYS;
  auto watched = std::make_unique<Watched>();
  const auto tell = [this, held = watched.get()](DisconnectWatch::Seen seen) {
    Tell(held->watch->fd(), seen == DisconnectWatch::Seen::kFin ? "fin" : "reset");
  };
  DisconnectWatch* watch = nullptr;
  const int error = DisconnectWatch::Start(loop, fd, tell, &watch);
  return error != 0 ? error : Hold(callback, std::move(watched), watch, name);
}

int Instance::WatchNetwork(Napi::Env env, Napi::Function callback, int* name) {
  uv_loop_s* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return ENOSYS;
  auto watched = std::make_unique<Watched>();
  const auto tell = [this, held = watched.get()] { Tell(held->watch->fd(), nullptr); };
  NetworkWatch* watch = nullptr;
  const int error = NetworkWatch::Start(loop, tell, &watch);
  return error != 0 ? error : Hold(callback, std::move(watched), watch, name);
}

int Instance::WatchPackets(Napi::Env env, const std::string& interface, Napi::Function callback, int* name) {
  uv_loop_s* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return ENOSYS;
  auto watched = std::make_unique<Watched>();
  const auto tell = [this, held = watched.get()](const uint8_t* packet, size_t length, uint32_t segment_bytes) {
    TellPacket(held->watch->fd(), packet, length, segment_bytes);
  };
  PacketWatch* watch = nullptr;
  const int error = PacketWatch::Start(loop, interface, tell, &watch);
  return error != 0 ? error : Hold(callback, std::move(watched), watch, name);
}

bool Instance::CloseWatch(int watch) {
  const auto entry = watches_.find(watch);
  if (entry == watches_.end()) return false;
  Retire(entry);
  return true;
}

Instance::WatchTable::iterator Instance::Retire(WatchTable::iterator entry) {
  closing_watches_++;
  entry->second->watch->Close([this] {
    closing_watches_--;
    FinishTeardownWhenIdle();
  });
  return watches_.erase(entry);
}

void Instance::Tell(int watch, const char* kind) {
  if (teardown_ != nullptr) return;
  const Napi::HandleScope scope(env_);
  // The callback may close the watch, and with it the reference; the function itself stays alive in this scope.
  const Napi::Function callback = watches_.at(watch)->callback.Value();
  if (kind == nullptr) return CallBack(env_, callback, {});
  CallBack(env_, callback, {Napi::String::New(env_, kind)});
}

void Instance::TellPacket(int watch, const uint8_t* packet, size_t length, uint32_t segment_bytes) {
  if (teardown_ != nullptr) return;
  const Napi::HandleScope scope(env_);
  const Napi::Function callback = watches_.at(watch)->callback.Value();
  CallBack(env_, callback,
           {Napi::Buffer<uint8_t>::Copy(env_, packet, length), Napi::Number::New(env_, segment_bytes)});
}

void Instance::OnTeardown(napi_async_cleanup_hook_handle hook, void* data) {
  auto* instance = static_cast<Instance*>(data);
  instance->teardown_ = hook;
  instance->owned_.clear();
  for (auto entry = instance->watches_.begin(); entry != instance->watches_.end();) {
    entry = instance->Retire(entry);
  }
  instance->captures_.StopAll();
  instance->relays_.CloseAll([instance] { instance->FinishTeardownWhenIdle(); });
  instance->FinishTeardownWhenIdle();
}

void Instance::FinishTeardownWhenIdle() {
  if (teardown_ == nullptr || closing_watches_ > 0 || !relays_.idle() || !captures_.idle()) return;
  const napi_async_cleanup_hook_handle hook = teardown_;
  delete this;
  napi_remove_async_cleanup_hook(hook);
}

}  // namespace entremise
