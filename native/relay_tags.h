// What an fd in a relay's epoll stands for.
#pragma once

#include <cstdint>

namespace entremise {

constexpr uint64_t kPortBit = uint64_t{1} << 32;

inline uint64_t DoorTag(uint32_t id) { return id; }
inline uint64_t PortTag(uint32_t id) { return kPortBit | id; }

}  // namespace entremise
