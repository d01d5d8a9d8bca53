import type { DeviceListing } from '../../wire/messages/command.ts';

/** A device of the LAN, as QUERY devices tells it (P5.6). Everything in it comes from a hostile network. */
export type Device = DeviceListing;

/** Of what a device calls itself, this much is kept. */
export const maxDeviceNameBytes = 64;

/** Of a device with more of them, the first are told. */
export const maxDeviceAddresses = 16;
