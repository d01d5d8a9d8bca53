// Runs the programs of classic BPF that capture_filter.cc writes, as the kernel would, and refuses what it would refuse.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../tcp_segment.h"
#include "check.h"

namespace entremise {

class BpfRun {
 public:
  BpfRun(const std::vector<sock_filter>& program, const PacketContext& context, const std::vector<uint8_t>& packet)
      : program_(program), context_(context), packet_(packet) {
    Check(!program.empty() && program.size() <= BPF_MAXINSNS);
    Check(BPF_CLASS(program.back().code) == BPF_RET);
  }

  // The bytes to keep; 0: dropped.
  uint32_t Result() {
    for (size_t at = 0;;) {
      Check(at < program_.size());
      const sock_filter& instruction = program_[at++];
      switch (BPF_CLASS(instruction.code)) {
        case BPF_RET:
          return instruction.k;
        case BPF_JMP:
          at += JumpOf(instruction);
          break;
        case BPF_ALU:
          accumulator_ = Computed(instruction);
          break;
        case BPF_MISC:
          Check(BPF_MISCOP(instruction.code) == BPF_TAX);
          index_ = accumulator_;
          break;
        case BPF_ST:
          Check(instruction.k < BPF_MEMWORDS);
          memory_[instruction.k] = accumulator_;
          stored_ |= 1u << instruction.k;
          break;
        case BPF_LD:
          if (!Load(instruction)) return 0;
          break;
        case BPF_LDX:
          if (!LoadIndex(instruction)) return 0;
          break;
        default:
          Check(false);
      }
    }
  }

 private:
  size_t JumpOf(const sock_filter& instruction) const {
    if (BPF_OP(instruction.code) == BPF_JA) return instruction.k;
    return Holds(instruction) ? instruction.jt : instruction.jf;
  }

  bool Holds(const sock_filter& instruction) const {
    switch (BPF_OP(instruction.code)) {
      case BPF_JEQ:
        return accumulator_ == instruction.k;
      case BPF_JGT:
        return accumulator_ > instruction.k;
      case BPF_JGE:
        return accumulator_ >= instruction.k;
      case BPF_JSET:
        return (accumulator_ & instruction.k) != 0;
      default:
        Check(false);
    }
    return false;
  }

  uint32_t Computed(const sock_filter& instruction) const {
    const uint32_t other = BPF_SRC(instruction.code) == BPF_X ? index_ : instruction.k;
    if (BPF_OP(instruction.code) == BPF_ADD) return accumulator_ + other;
    Check(BPF_OP(instruction.code) == BPF_LSH && other < 32);
    return accumulator_ << other;
  }

  bool Load(const sock_filter& instruction) {
    switch (BPF_MODE(instruction.code)) {
      case BPF_IMM:
        accumulator_ = instruction.k;
        return true;
      case BPF_MEM:
        Check(instruction.k < BPF_MEMWORDS && (stored_ >> instruction.k & 1) != 0);
        accumulator_ = memory_[instruction.k];
        return true;
      case BPF_ABS:
        if (static_cast<int32_t>(instruction.k) < 0) return LoadAncillary(instruction.k);
        return LoadBytes(instruction.k, BPF_SIZE(instruction.code));
      case BPF_IND:
        return LoadBytes(uint64_t{index_} + instruction.k, BPF_SIZE(instruction.code));
      default:
        Check(false);
    }
    return false;
  }

  bool LoadAncillary(uint32_t k) {
    switch (static_cast<int32_t>(k) - SKF_AD_OFF) {
      case SKF_AD_PROTOCOL:
        accumulator_ = context_.protocol;
        return true;
      case SKF_AD_PKTTYPE:
        accumulator_ = context_.type;
        return true;
      case SKF_AD_VLAN_TAG_PRESENT:
        accumulator_ = context_.vlan != 0;
        return true;
      case SKF_AD_VLAN_TAG:
        accumulator_ = context_.vlan;
        return true;
      default:
        Check(false);
    }
    return false;
  }

  bool LoadBytes(uint64_t at, uint32_t size) {
    const size_t length = size == BPF_W ? 4 : size == BPF_H ? 2 : 1;
    if (at + length > packet_.size()) return false;
    accumulator_ = 0;
    for (size_t index = 0; index < length; index++) accumulator_ = accumulator_ << 8 | packet_[at + index];
    return true;
  }

  bool LoadIndex(const sock_filter& instruction) {
    if (BPF_MODE(instruction.code) == BPF_IMM) {
      index_ = instruction.k;
      return true;
    }
    Check(BPF_MODE(instruction.code) == BPF_MSH);
    if (instruction.k >= packet_.size()) return false;
    index_ = (packet_[instruction.k] & 0x0fu) * 4;
    return true;
  }

  const std::vector<sock_filter>& program_;
  const PacketContext& context_;
  const std::vector<uint8_t>& packet_;
  uint32_t accumulator_ = 0;
  uint32_t index_ = 0;
  uint32_t memory_[BPF_MEMWORDS] = {};
  uint32_t stored_ = 0;
};

}  // namespace entremise
