#include "relay_host.h"

#include <cerrno>

#include "callback.h"

namespace entremise {

int RelayHost::Start(napi_env env, Napi::Function callback, const RelayTimes& times, RelayHost** out) {
  uv_loop_s* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return ENOSYS;
  auto* host = new RelayHost(env);
  const int refused = uv_async_init(loop, &host->wake_, OnWake);
  if (refused != 0) {
    delete host;
    return -refused;
  }
  host->wake_.data = host;
  // A relay alone keeps no process alive.
  uv_unref(reinterpret_cast<uv_handle_t*>(&host->wake_));
  host->callback_ = Napi::Persistent(callback);
  host->relay_ = std::make_unique<Relay>([host] { uv_async_send(&host->wake_); }, times);
  const int error = host->relay_->Start();
  if (error != 0) {
    host->Close([] {});
    return error;
  }
  *out = host;
  return 0;
}

void RelayHost::Close(std::function<void()> done) {
  done_ = std::move(done);
  relay_.reset();
  callback_.Reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&wake_), OnClosed);
}

void RelayHost::OnClosed(uv_handle_t* handle) {
  auto* host = static_cast<RelayHost*>(handle->data);
  const std::function<void()> done = std::move(host->done_);
  delete host;
  done();
}

void RelayHost::OnWake(uv_async_t* wake) {
  auto* host = static_cast<RelayHost*>(wake->data);
  if (host->relay_ == nullptr) return;
  const std::vector<uint8_t> upcalls = host->relay_->TakeUpcalls();
  if (upcalls.empty()) return;
  const Napi::HandleScope scope(host->env_);
  // The callback may close the relay, and with it the reference; the function itself stays alive in this scope.
  const Napi::Function callback = host->callback_.Value();
  napi_value copy = nullptr;
  // In a worker that is being terminated nothing is made any more.
  if (napi_create_buffer_copy(host->env_, upcalls.size(), upcalls.data(), nullptr, &copy) != napi_ok) return;
  CallBack(host->env_, callback, {copy});
}

int RelayTable::Start(napi_env env, Napi::Function callback, const RelayTimes& times, uint32_t* id) {
  RelayHost* host = nullptr;
  const int error = RelayHost::Start(env, callback, times, &host);
  if (error != 0) return error;
  *id = next_id_++;
  hosts_[*id] = host;
  return 0;
}

Relay* RelayTable::Find(uint32_t id) {
  const auto found = hosts_.find(id);
  return found == hosts_.end() ? nullptr : &found->second->relay();
}

bool RelayTable::Close(uint32_t id) {
  const auto found = hosts_.find(id);
  if (found == hosts_.end()) return false;
  closing_++;
  RelayHost* host = found->second;
  hosts_.erase(found);
  host->Close([this] {
    closing_--;
    // It may end the environment, and this table with it.
    const std::function<void()> on_idle = on_idle_;
    if (on_idle) on_idle();
  });
  return true;
}

void RelayTable::CloseAll(std::function<void()> on_idle) {
  while (!hosts_.empty()) Close(hosts_.begin()->first);
  on_idle_ = std::move(on_idle);
}

}  // namespace entremise
