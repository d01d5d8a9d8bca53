// Writes programs of classic BPF. Plain C++: no system calls.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace entremise {

// Puts a program together. Every jump goes forward, to a place that is named before it is known. A conditional jump
// of BPF reaches 255 instructions, an unconditional one any: so each condition skips an unconditional jump.
class BpfAssembler {
 public:
  using Label = size_t;

  Label NewLabel() {
    places_.push_back(0);
    return places_.size() - 1;
  }
  void Place(Label label) { places_[label] = program_.size(); }

  void Do(uint16_t code, uint32_t k) { program_.push_back({code, 0, 0, k}); }
  void Jump(Label label) {
    jumps_.emplace_back(program_.size(), label);
    Do(BPF_JMP | BPF_JA, 0);
  }
  // `test`: BPF_JEQ, BPF_JGE, BPF_JGT or BPF_JSET of the accumulator with k.
  void JumpIf(uint16_t test, uint32_t k, Label label) {
    program_.push_back({static_cast<uint16_t>(BPF_JMP | BPF_K | test), 0, 1, k});
    Jump(label);
  }
  void JumpUnless(uint16_t test, uint32_t k, Label label) {
    program_.push_back({static_cast<uint16_t>(BPF_JMP | BPF_K | test), 1, 0, k});
    Jump(label);
  }

  std::vector<sock_filter> Finish() {
    for (const auto& [at, label] : jumps_) program_[at].k = static_cast<uint32_t>(places_[label] - at - 1);
    return std::move(program_);
  }

 private:
  std::vector<sock_filter> program_;
  std::vector<size_t> places_;
  std::vector<std::pair<size_t, Label>> jumps_;
};

}  // namespace entremise
