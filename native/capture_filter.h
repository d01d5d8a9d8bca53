// What a capture is about, as the kernel's filter can say it. Plain C++: no system calls, no state.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "capture_targets.h"

namespace entremise {

// The most instructions that the kernel takes (BPF_MAXINSNS).
constexpr size_t kMaxFilterLength = 4096;

// Bytes of a packet that the filter has the kernel keep: IP, extension headers of common size, TCP.
constexpr uint32_t kCapturedBytes = 256;

// For a SOCK_DGRAM socket. Accepts whatever Recognise() does; more than that only when the targets are too many to be
// named (then any address, or any number between the lowest and the highest), or in pairs that are no target (the
// number of one with the address of another).
std::vector<sock_filter> BuildCaptureFilter(const CaptureTargets& targets, bool loopback);

}  // namespace entremise
