#!/bin/sh
# Run by the feed's CI on an installed package: NAME VERSION.

case "$1" in
entremise-mediator)
	entremise-mediator --version | grep -Fx "$2"
	entremise-mediator check-config --config /etc/config/entremise
	;;
esac
