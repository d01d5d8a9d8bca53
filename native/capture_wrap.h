// The N-API face of capture.h, and the captures that one environment owns.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

namespace entremise {

class CaptureFace;

// Belongs to the Instance. One thread only: the environment's.
class CaptureTable {
 public:
  // `on_idle`: after StopAll(), libuv has let go of the last handle.
  CaptureTable(napi_env env, std::function<void()> on_idle);
  ~CaptureTable();

  int Start(Napi::Function callback, int* handle);
  // nullptr for a handle that is none.
  CaptureFace* Find(int handle) const;
  // Joins the thread; the callback is not called any more.
  bool Stop(int handle);

  // Teardown: as Stop() for all.
  void StopAll();
  bool idle() const { return faces_.empty() && closing_ == 0; }

 private:
  using Faces = std::unordered_map<int, CaptureFace*>;
  Faces::iterator Retire(Faces::iterator entry);

  napi_env env_;
  std::function<void()> on_idle_;
  Faces faces_;
  int last_handle_ = 0;
  size_t closing_ = 0;
};

// Puts the capture functions into `exports`.
void ExportCapture(Napi::Env env, Napi::Object exports);

}  // namespace entremise
