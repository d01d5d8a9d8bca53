// On which interface a UDP socket meets groups and broadcasts. Failures are errnos (0 = done); nothing throws.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

namespace entremise {

struct UdpScope {
  // Name of the interface by which groups are sent to and joined; empty: none.
  std::string interface;
  // The address is a group's or a broadcast's, which others on the machine may have, too.
  bool shared = false;
};

// Before bind: no group is heard that the socket has not joined itself. With an interface: groups are sent to by it, one
// hop far, and not to this machine's own listeners. `shared`: bound to the interface, number shared with who shares it.
int ApplyScope(int fd, int family, const UdpScope& scope);

// After bind, when `bound` is a group: joins it on the scope's interface. Any other address: nothing.
int JoinBoundGroup(int fd, const sockaddr& bound, const UdpScope& scope);

}  // namespace entremise
