#include "capture_filter.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>

#include <cstring>
#include <set>
#include <utility>

#include "bpf_assembler.h"

namespace entremise {
namespace {

using Words = std::array<uint32_t, 4>;

bool IsIpv4(const CaptureAddress& address) {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(address.data(), kPrefix, sizeof(kPrefix)) == 0;
}

Words WordsOf(const CaptureAddress& address) {
  Words words;
  for (size_t index = 0; index < words.size(); index++) {
    const uint8_t* bytes = address.data() + index * 4;
    words[index] = static_cast<uint32_t>(bytes[0]) << 24 | static_cast<uint32_t>(bytes[1]) << 16 |
                   static_cast<uint32_t>(bytes[2]) << 8 | bytes[3];
  }
  return words;
}

constexpr uint16_t kLoadWord = BPF_LD | BPF_W | BPF_ABS;
constexpr uint16_t kLoadHalf = BPF_LD | BPF_H | BPF_ABS;
constexpr uint16_t kLoadByte = BPF_LD | BPF_B | BPF_ABS;
constexpr uint16_t kLoadHalfAtX = BPF_LD | BPF_H | BPF_IND;
constexpr uint16_t kLoadByteAtX = BPF_LD | BPF_B | BPF_IND;

constexpr uint32_t Ancillary(int which) { return static_cast<uint32_t>(SKF_AD_OFF + which); }

// Cells of BPF's scratch memory.
constexpr uint32_t kNumberCell = 0;   // number of the gateway's side
constexpr uint32_t kAddressCell = 1;  // its address: one cell, or four
constexpr uint32_t kNextCell = 5;     // next header of IPv6

class FilterWriter {
 public:
  FilterWriter(bool loopback, std::set<uint32_t> ipv4, std::set<Words> ipv6, std::set<uint16_t> numbers)
      : loopback_(loopback), ipv4_(std::move(ipv4)), ipv6_(std::move(ipv6)), numbers_(std::move(numbers)) {}

  bool any_address = false;
  bool any_number = false;

  std::vector<sock_filter> Write() {
    writer_ = BpfAssembler();
    drop_ = writer_.NewLabel();
    tcp_ = writer_.NewLabel();
    check_number_ = writer_.NewLabel();
    accept_ = writer_.NewLabel();
    WriteProtocols();
    writer_.Place(tcp_);
    WriteFlagsAndTag();
    WriteDirections();
    writer_.Place(check_number_);
    WriteNumbers();
    writer_.Place(accept_);
    writer_.Do(BPF_RET | BPF_K, kCapturedBytes);
    writer_.Place(drop_);
    writer_.Do(BPF_RET | BPF_K, 0);
    return writer_.Finish();
  }

 private:
  using Label = BpfAssembler::Label;

  // Leaves the offset of the TCP header in X.
  void WriteProtocols() {
    const Label ipv6 = writer_.NewLabel();
    writer_.Do(kLoadWord, Ancillary(SKF_AD_PROTOCOL));
    writer_.JumpIf(BPF_JEQ, ETH_P_IPV6, ipv6);
    writer_.JumpUnless(BPF_JEQ, ETH_P_IP, drop_);
    writer_.Do(kLoadByte, 9);
    writer_.JumpUnless(BPF_JEQ, IPPROTO_TCP, drop_);
    writer_.Do(kLoadHalf, 6);
    writer_.JumpIf(BPF_JSET, 0x1fff, drop_);
    writer_.Do(BPF_LDX | BPF_B | BPF_MSH, 0);
    writer_.Jump(tcp_);
    writer_.Place(ipv6);
    writer_.Do(BPF_LDX | BPF_W | BPF_IMM, 40);
    writer_.Do(kLoadByte, 6);
    for (int seen = 0; seen < kMaxExtensionHeaders; seen++) WriteExtensionHeader();
    writer_.JumpUnless(BPF_JEQ, IPPROTO_TCP, drop_);
  }

  // The next header's number is in A, its offset in X: the same for what follows it. Ends at once for TCP.
  void WriteExtensionHeader() {
    const Label in_eights = writer_.NewLabel();
    const Label fragment = writer_.NewLabel();
    const Label advance = writer_.NewLabel();
    writer_.JumpIf(BPF_JEQ, IPPROTO_TCP, tcp_);
    writer_.JumpIf(BPF_JEQ, IPPROTO_HOPOPTS, in_eights);
    writer_.JumpIf(BPF_JEQ, IPPROTO_ROUTING, in_eights);
    writer_.JumpIf(BPF_JEQ, IPPROTO_DSTOPTS, in_eights);
    writer_.JumpIf(BPF_JEQ, IPPROTO_FRAGMENT, fragment);
    writer_.JumpUnless(BPF_JEQ, IPPROTO_AH, drop_);
    LoadNextHeader();
    writer_.Do(kLoadByteAtX, 1);
    writer_.Do(BPF_ALU | BPF_ADD | BPF_K, 2);
    writer_.Do(BPF_ALU | BPF_LSH | BPF_K, 2);
    writer_.Jump(advance);
    writer_.Place(fragment);
    LoadNextHeader();
    writer_.Do(kLoadHalfAtX, 2);
    writer_.JumpIf(BPF_JSET, 0xfff8, drop_);
    writer_.Do(BPF_LD | BPF_IMM, 8);
    writer_.Jump(advance);
    writer_.Place(in_eights);
    LoadNextHeader();
    writer_.Do(kLoadByteAtX, 1);
    writer_.Do(BPF_ALU | BPF_ADD | BPF_K, 1);
    writer_.Do(BPF_ALU | BPF_LSH | BPF_K, 3);
    writer_.Place(advance);
    writer_.Do(BPF_ALU | BPF_ADD | BPF_X, 0);
    writer_.Do(BPF_MISC | BPF_TAX, 0);
    writer_.Do(BPF_LD | BPF_MEM, kNextCell);
  }

  void LoadNextHeader() {
    writer_.Do(kLoadByteAtX, 0);
    writer_.Do(BPF_ST, kNextCell);
  }

  void WriteFlagsAndTag() {
    const Label untagged = writer_.NewLabel();
    writer_.Do(kLoadByteAtX, 13);
    writer_.JumpUnless(BPF_JSET, kTcpFin | kTcpSyn | kTcpRst, drop_);
    writer_.Do(kLoadWord, Ancillary(SKF_AD_VLAN_TAG_PRESENT));
    writer_.JumpIf(BPF_JEQ, 0, untagged);
    writer_.Do(kLoadWord, Ancillary(SKF_AD_VLAN_TAG));
    writer_.JumpIf(BPF_JSET, 0x0fff, drop_);
    writer_.Place(untagged);
  }

  void WriteDirections() {
    const Label from_peer = writer_.NewLabel();
    const Label from_gateway = writer_.NewLabel();
    writer_.Do(kLoadWord, Ancillary(SKF_AD_PKTTYPE));
    writer_.JumpIf(BPF_JEQ, PACKET_HOST, from_peer);
    if (loopback_) writer_.Jump(drop_);
    else writer_.JumpUnless(BPF_JEQ, PACKET_OUTGOING, drop_);
    writer_.Jump(from_gateway);
    writer_.Place(from_peer);
    // What comes in on a loopback interface may as well be what the gateway's side sent.
    const Label otherwise = loopback_ ? from_gateway : drop_;
    const Label is_peers = writer_.NewLabel();
    writer_.Do(kLoadByteAtX, 13);
    // SYN with ACK answers a connection that the gateway began.
    writer_.JumpIf(BPF_JSET, kTcpRst, is_peers);
    writer_.JumpUnless(BPF_JSET, kTcpSyn, is_peers);
    writer_.JumpIf(BPF_JSET, kTcpAck, otherwise);
    writer_.Place(is_peers);
    WriteEnd(2, 16, 24, otherwise);
    writer_.Place(from_gateway);
    const Label is_gateways = writer_.NewLabel();
    writer_.Do(kLoadByteAtX, 13);
    writer_.JumpIf(BPF_JSET, kTcpRst, is_gateways);
    writer_.JumpIf(BPF_JSET, kTcpSyn, drop_);
    writer_.Place(is_gateways);
    WriteEnd(0, 12, 8, drop_);
  }

  // The gateway's end of the connection, whose fields stand at these offsets: its address is looked up, its number left
  // for check_number_.
  void WriteEnd(uint32_t number_at, uint32_t ipv4_at, uint32_t ipv6_at, Label otherwise) {
    const Label ipv6 = writer_.NewLabel();
    writer_.Do(kLoadHalfAtX, number_at);
    writer_.Do(BPF_ST, kNumberCell);
    if (any_address) return CheckNumber(otherwise);
    writer_.Do(kLoadWord, Ancillary(SKF_AD_PROTOCOL));
    writer_.JumpIf(BPF_JEQ, ETH_P_IPV6, ipv6);
    const Label known = writer_.NewLabel();
    writer_.Do(kLoadWord, ipv4_at);
    for (const uint32_t address : ipv4_) writer_.JumpIf(BPF_JEQ, address, known);
    writer_.Jump(otherwise);
    writer_.Place(ipv6);
    for (uint32_t word = 0; word < 4; word++) {
      writer_.Do(kLoadWord, ipv6_at + word * 4);
      writer_.Do(BPF_ST, kAddressCell + word);
    }
    for (const Words& address : ipv6_) WriteIpv6(address, known);
    writer_.Jump(otherwise);
    writer_.Place(known);
    CheckNumber(otherwise);
  }

  // On a loopback interface a number that is none of the targets' at this end may be one at the other.
  void CheckNumber(Label otherwise) {
    if (otherwise == drop_) return writer_.Jump(check_number_);
    WriteNumbers(accept_, otherwise);
  }

  void WriteIpv6(const Words& address, Label known) {
    const Label differs = writer_.NewLabel();
    for (uint32_t word = 0; word < 4; word++) {
      writer_.Do(BPF_LD | BPF_MEM, kAddressCell + word);
      writer_.JumpUnless(BPF_JEQ, address[word], differs);
    }
    writer_.Jump(known);
    writer_.Place(differs);
  }

  void WriteNumbers() { WriteNumbers(accept_, drop_); }

  void WriteNumbers(Label known, Label otherwise) {
    writer_.Do(BPF_LD | BPF_MEM, kNumberCell);
    if (any_number) {
      writer_.JumpUnless(BPF_JGE, *numbers_.begin(), otherwise);
      writer_.JumpIf(BPF_JGT, *numbers_.rbegin(), otherwise);
      writer_.Jump(known);
      return;
    }
    for (const uint16_t number : numbers_) writer_.JumpIf(BPF_JEQ, number, known);
    writer_.Jump(otherwise);
  }

  const bool loopback_;
  const std::set<uint32_t> ipv4_;
  const std::set<Words> ipv6_;
  const std::set<uint16_t> numbers_;
  BpfAssembler writer_;
  Label drop_ = 0;
  Label tcp_ = 0;
  Label check_number_ = 0;
  Label accept_ = 0;
};

}  // namespace

std::vector<sock_filter> BuildCaptureFilter(const CaptureTargets& targets, bool loopback) {
  if (targets.empty()) return {{BPF_RET | BPF_K, 0, 0, 0}};
  std::set<uint32_t> ipv4;
  std::set<Words> ipv6;
  std::set<uint16_t> numbers;
  for (const TcpEndpoint& endpoint : targets.endpoints()) {
    const Words words = WordsOf(endpoint.address);
    if (IsIpv4(endpoint.address)) ipv4.insert(words[3]);
    else ipv6.insert(words);
    numbers.insert(endpoint.number);
  }
  FilterWriter writer(loopback, std::move(ipv4), std::move(ipv6), std::move(numbers));
  std::vector<sock_filter> filter = writer.Write();
  if (filter.size() > kMaxFilterLength) {
    writer.any_address = true;
    filter = writer.Write();
  }
  if (filter.size() > kMaxFilterLength) {
    writer.any_address = false;
    writer.any_number = true;
    filter = writer.Write();
  }
  if (filter.size() > kMaxFilterLength) {
    writer.any_address = true;
    filter = writer.Write();
  }
  return filter;
}

}  // namespace entremise
