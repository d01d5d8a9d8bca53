/**
 * The SDK: a gateway's own TCP and UDP interface, from anywhere.
 *
 *     import { connectTerminal } from 'entremise';
 *     const terminal = await connectTerminal({ directory });
 *     const attachment = await terminal.attach('gw-1');
 *     const socket = attachment.connect({ host: '192.168.1.20', port: 80 });
 *
 * Sockets are net.Socket's and dgram.Socket's likes, listeners net.Server's. Everything fails with a TunnelError.
 */
export type { ErrorCode, RefusedBy } from '../base/errors.ts';
export type { AcceptedGrant } from '../policy/grant.ts';
export type { Purpose } from '../wire/messages/attach.ts';
export type { Choice, DeviceListing, PortListing, PortState, Protocol } from '../wire/messages/command.ts';
export type { EventKind, EventOf, PortEvent } from '../wire/messages/event.ts';
export type { Report } from '../wire/messages/report.ts';
export type { Carrier } from '../wire/messages/shared.ts';
export { AbortError } from './abort-error.ts';
export type { AttachOptions } from './attach-options.ts';
export type { Suspension } from './attachment-hold.ts';
export {
  AttachmentKeeper,
  type AttachmentKeeperEvents,
  type KeeperStatus,
} from './attachment-keeper.ts';
export { udpSocketBestWay } from './best-way.ts';
export {
  type BulkOptions,
  type BulkResult,
  type MediatorSelection,
  runBulk,
  selectMediators,
} from './bulk.ts';
export { type BulkWork, bulkWork, type ConnectedWork, type WantedNumber } from './bulk-work.ts';
export { type ConnectTerminalOptions, connectTerminal } from './connect-terminal.ts';
export { EnclosureDoor, type EnclosureDoorOptions } from './enclosure/enclosure-door.ts';
export { type Fate, fate, type Inject, type TellRefused } from './enclosure/packet-port.ts';
export { exposeTcp } from './expose-tcp.ts';
export { exposeUdp } from './expose-udp.ts';
export type { ExposedPort, ExposedPortEvents, ExposeOptions } from './exposed-port.ts';
export {
  type Endpoint,
  type ForwardEvents,
  type ForwardOptions,
  forwardTcp,
  type TcpForward,
} from './forward-tcp.ts';
export { forwardUdp, UdpForward, type UdpForwardEvents } from './forward-udp.ts';
export type { GrantSources } from './grant-finder.ts';
export { joinSockets } from './join-sockets.ts';
export { joinStdio, type StdioStreams } from './join-stdio.ts';
export { joinToTarget } from './join-to-target.ts';
export { lanAddress, sourceAddressFor } from './lan-address.ts';
export type {
  AttachmentEnd,
  AttachmentPeer,
  LimitListing,
  MediatorAttachment,
  MediatorAttachmentEvents,
  OpenAndListenOptions,
} from './mediator-attachment.ts';
export type { Mediator, MediatorChange } from './mediator-list.ts';
export type { QuickConnectOptions } from './quick-connect.ts';
export type { ConnectionState, WaitOptions } from './server-connection.ts';
export { type ServiceWish, wantedParameters } from './service-directory.ts';
export type { ConnectionEnds } from './socket-manners.ts';
export { type DoorPassword, newDoorPassword } from './socks/door-password.ts';
export { openSocks, SocksDoor, type SocksDoorEvents, type SocksOptions } from './socks/socks-door.ts';
export {
  startTerminal,
  type Terminal,
  type TerminalEvents,
  type TerminalMember,
  type TerminalOptions,
} from './terminal.ts';
export type { PortBypass, RouteHub, TerminalUdpPath } from './terminal-udp.ts';
export type {
  DatagramContent,
  RemoteInfo,
  SendCallback,
  TunnelDatagramSocket,
  TunnelDatagramSocketEvents,
} from './tunnel-datagram-socket.ts';
export { reasonOf, TunnelError } from './tunnel-error.ts';
export type { ConnectOptions, OpenOptions, RedirectOptions, TunnelPort } from './tunnel-port.ts';
export type {
  DroppedConnection,
  ListenAddress,
  ListenOptions,
  TunnelServer,
  TunnelServerEvents,
} from './tunnel-server.ts';
export type { TunnelSocket, TunnelSocketOptions } from './tunnel-socket.ts';
