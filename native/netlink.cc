#include "netlink.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>

#include "fd.h"

namespace entremise {
namespace {

// A part of a dump is never longer: the kernel goes by what the reader has room for, up to this.
constexpr size_t kPartBytes = 32 * 1024;

int AskForAll(int fd) {
  struct {
    nlmsghdr header;
    ndmsg body;
  } request = {};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETNEIGH;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  // Both families.
  request.body.ndm_family = AF_UNSPEC;
  return send(fd, &request, sizeof(request), 0) < 0 ? errno : 0;
}

std::vector<uint8_t> BytesOf(const rtattr* attribute) {
  const auto* begin = static_cast<const uint8_t*>(RTA_DATA(attribute));
  return {begin, begin + RTA_PAYLOAD(attribute)};
}

// Reads the answer to one dump.
class Dump {
 public:
  Dump(size_t most, std::vector<Neighbour>* neighbours) : most_(most), neighbours_(neighbours) {}

  int error() const { return error_; }

  // True when it was the last part.
  bool Take(const uint8_t* part, size_t length) {
    auto left = static_cast<unsigned int>(length);
    for (auto* header = reinterpret_cast<const nlmsghdr*>(part); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE || neighbours_->size() == most_) return true;
      if (header->nlmsg_type == NLMSG_ERROR) {
        error_ = -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
        return true;
      }
      if (header->nlmsg_type == RTM_NEWNEIGH) Add(header);
    }
    return false;
  }

 private:
  void Add(const nlmsghdr* header) {
    const auto* body = static_cast<const ndmsg*>(NLMSG_DATA(header));
    if (body->ndm_family != AF_INET && body->ndm_family != AF_INET6) return;
    Neighbour neighbour;
    neighbour.state = body->ndm_state;
    neighbour.interface = NameOf(body->ndm_ifindex);
    auto left = static_cast<unsigned int>(NLMSG_PAYLOAD(header, sizeof(ndmsg)));
    auto* attribute = reinterpret_cast<const rtattr*>(reinterpret_cast<const uint8_t*>(body) + NLMSG_ALIGN(sizeof(ndmsg)));
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
      if (attribute->rta_type == NDA_DST) neighbour.address = BytesOf(attribute);
      if (attribute->rta_type == NDA_LLADDR) neighbour.hardware_address = BytesOf(attribute);
    }
    neighbours_->push_back(std::move(neighbour));
  }

  // A dump goes from interface to interface.
  const std::string& NameOf(int index) {
    if (index == last_index_) return last_name_;
    char name[IF_NAMESIZE] = {};
    last_index_ = index;
    last_name_ = if_indextoname(static_cast<unsigned int>(index), name) == nullptr ? "" : name;
    return last_name_;
  }

  size_t most_;
  std::vector<Neighbour>* neighbours_;
  int error_ = 0;
  int last_index_ = 0;
  std::string last_name_;
};

}  // namespace

int ListNeighbours(size_t most, std::vector<Neighbour>* neighbours) {
  const Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return errno;
  const int error = AskForAll(fd.number());
  if (error != 0) return error;
  Dump dump(most, neighbours);
  std::vector<uint8_t> part(kPartBytes);
  for (;;) {
    // A dump is made while it is read: there is always a part to be had.
    const ssize_t got = recv(fd.number(), part.data(), part.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (dump.Take(part.data(), static_cast<size_t>(got))) return dump.error();
  }
}

}  // namespace entremise
