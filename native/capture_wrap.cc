#include "capture_wrap.h"

#include <uv.h>

#include <string>

#include "arguments.h"
#include "callback.h"
#include "capture.h"
#include "errno_name.h"
#include "instance.h"

namespace entremise {

// A capture and the way of its news to JavaScript: its thread sends `async_`, which calls back on the loop. Does not keep
// the loop alive.
class CaptureFace {
 public:
  static int Start(napi_env env, Napi::Function callback, CaptureFace** out) {
    uv_loop_s* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) return ENOSYS;
    std::unique_ptr<CaptureFace> face(new CaptureFace(env));
    // There is no news, and so no use of `async_`, before there is an interface.
    const int error = Capture::Start([async = &face->async_] { uv_async_send(async); }, &face->capture_);
    if (error != 0) return error;
    const int refused = uv_async_init(loop, &face->async_, OnNews);
    if (refused != 0) return -refused;
    face->async_.data = face.get();
    uv_unref(reinterpret_cast<uv_handle_t*>(&face->async_));
    face->callback_ = Napi::Persistent(callback);
    *out = face.release();
    return 0;
  }

  Capture& capture() { return *capture_; }

  // Joins the thread now; deletes the object when libuv has let go of the handle, then calls `done`.
  void Close(std::function<void()> done) {
    capture_.reset();
    callback_.Reset();
    done_ = std::move(done);
    uv_close(reinterpret_cast<uv_handle_t*>(&async_), OnClosed);
  }

 private:
  explicit CaptureFace(napi_env env) : env_(env) {}

  static void OnClosed(uv_handle_t* handle) {
    auto* face = static_cast<CaptureFace*>(handle->data);
    const std::function<void()> done = std::move(face->done_);
    delete face;
    done();
  }

  static void OnNews(uv_async_t* async) { static_cast<CaptureFace*>(async->data)->Tell(); }

  void Tell() {
    if (capture_ == nullptr) return;
    const Capture::Batch batch = capture_->Take();
    if (batch.records.empty() && batch.lost == 0) return;
    const Napi::HandleScope scope(env_);
    const Napi::Value records = Napi::Buffer<uint8_t>::Copy(env_, batch.records.data(), batch.records.size());
    // The callback may stop the capture, and with it the reference; the function itself stays alive in this scope.
    const Napi::Function callback = callback_.Value();
    CallBack(env_, callback, {records, Napi::Number::New(env_, static_cast<double>(batch.lost))});
  }

  napi_env env_;
  uv_async_t async_ = {};
  Napi::FunctionReference callback_;
  std::unique_ptr<Capture> capture_;
  std::function<void()> done_;
};

CaptureTable::CaptureTable(napi_env env, std::function<void()> on_idle) : env_(env), on_idle_(std::move(on_idle)) {}

CaptureTable::~CaptureTable() = default;

int CaptureTable::Start(Napi::Function callback, int* handle) {
  CaptureFace* face = nullptr;
  const int error = CaptureFace::Start(env_, callback, &face);
  if (error != 0) return error;
  *handle = ++last_handle_;
  faces_[*handle] = face;
  return 0;
}

CaptureFace* CaptureTable::Find(int handle) const {
  const auto entry = faces_.find(handle);
  return entry == faces_.end() ? nullptr : entry->second;
}

bool CaptureTable::Stop(int handle) {
  const auto entry = faces_.find(handle);
  if (entry == faces_.end()) return false;
  Retire(entry);
  return true;
}

void CaptureTable::StopAll() {
  for (auto entry = faces_.begin(); entry != faces_.end();) entry = Retire(entry);
}

CaptureTable::Faces::iterator CaptureTable::Retire(Faces::iterator entry) {
  closing_++;
  entry->second->Close([this] {
    closing_--;
    // It may end the environment, and this table with it.
    const std::function<void()> on_idle = on_idle_;
    on_idle();
  });
  return faces_.erase(entry);
}

namespace {

using Napi::CallbackInfo;
using Napi::Value;

Value StartCapture(const CallbackInfo& info) {
  Arguments arguments(info);
  const Napi::Function callback = arguments.Function(0, "callback");
  if (!arguments.ok()) return Value();
  int handle = 0;
  const int error = Instance::Of(info.Env()).captures().Start(callback, &handle);
  return error != 0 ? ErrnoName(info.Env(), error) : Napi::Number::New(info.Env(), handle);
}

Capture* Known(const CallbackInfo& info, int handle) {
  CaptureFace* face = Instance::Of(info.Env()).captures().Find(handle);
  return face == nullptr ? nullptr : &face->capture();
}

Value AddInterface(const CallbackInfo& info) {
  Arguments arguments(info);
  const int handle = arguments.FdNumber(0);
  const std::string name = arguments.Text(1, "interface");
  if (!arguments.ok()) return Value();
  Capture* capture = Known(info, handle);
  unsigned index = 0;
  const int error = capture == nullptr ? EBADF : capture->AddInterface(name, &index);
  return error != 0 ? ErrnoName(info.Env(), error) : Napi::Number::New(info.Env(), index);
}

Value RemoveInterface(const CallbackInfo& info) {
  Arguments arguments(info);
  const int handle = arguments.FdNumber(0);
  const std::string name = arguments.Text(1, "interface");
  if (!arguments.ok()) return Value();
  Capture* capture = Known(info, handle);
  const bool done = capture != nullptr && capture->RemoveInterface(name);
  return done ? info.Env().Undefined() : ErrnoName(info.Env(), capture == nullptr ? EBADF : ENODEV);
}

Value SetTargets(const CallbackInfo& info) {
  Arguments arguments(info);
  const int handle = arguments.FdNumber(0);
  const Napi::Uint8Array bytes = arguments.Bytes(1, "targets");
  if (!arguments.ok()) return Value();
  Capture* capture = Known(info, handle);
  if (capture == nullptr) return ErrnoName(info.Env(), EBADF);
  CaptureTargets targets;
  const size_t length = bytes.ByteLength();
  if (length > 0 && !targets.Read(bytes.Data(), length)) return ErrnoName(info.Env(), EINVAL);
  const int error = capture->SetTargets(std::move(targets));
  return error != 0 ? ErrnoName(info.Env(), error) : info.Env().Undefined();
}

Value CountersOf(const CallbackInfo& info) {
  Arguments arguments(info);
  const int handle = arguments.FdNumber(0);
  if (!arguments.ok()) return Value();
  Capture* capture = Known(info, handle);
  if (capture == nullptr) return ErrnoName(info.Env(), EBADF);
  const Capture::Counters counters = capture->counters();
  Napi::Object result = Napi::Object::New(info.Env());
  static_cast<void>(result.Set("seen", static_cast<double>(counters.seen)));
  static_cast<void>(result.Set("recorded", static_cast<double>(counters.recorded)));
  static_cast<void>(result.Set("lost", static_cast<double>(counters.lost)));
  return result;
}

Value StopCapture(const CallbackInfo& info) {
  Arguments arguments(info);
  const int handle = arguments.FdNumber(0);
  if (!arguments.ok()) return Value();
  const bool known = Instance::Of(info.Env()).captures().Stop(handle);
  return known ? info.Env().Undefined() : ErrnoName(info.Env(), EBADF);
}

}  // namespace

void ExportCapture(Napi::Env env, Napi::Object exports) {
  const auto put = [&](const char* name, Value (*function)(const CallbackInfo&)) {
    static_cast<void>(exports.Set(name, Napi::Function::New(env, function, name)));
  };
  put("startCapture", StartCapture);
  put("captureInterface", AddInterface);
  put("leaveInterface", RemoveInterface);
  put("captureTargets", SetTargets);
  put("captureCounters", CountersOf);
  put("stopCapture", StopCapture);
}

}  // namespace entremise
