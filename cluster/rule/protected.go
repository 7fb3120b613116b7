package rule

import "strings"

// Protected says whether a parameter cannot be set by a rule, with or without a method's name in front. These are the
// parameters that keep a call safe or say who the service is:
//
//   - secrets and encryption: token, username, password, everything that starts with tls., ssl. or auth.
//   - what decodes bytes of others, and how much of them: serialization, prefer.serialization, optimizer, codec, payload, queue
//   - how and where a call goes: protocol, transport, client, url, host, port, bind.ip, proxy, generic, generic.invoke
//   - what checks it on its way: filter, reference.filter, service.filter, listener, invoker.listener, exporter.listener
//   - limits on peers: accepts, connection.calls, connection.executes, frame.timeout, handshake.timeout, write.stall,
//     heartbeat.timeout, and threads and queues
//   - whether a repeat is harmless: idempotent, and everything that starts with idempotent.
//   - which calls are in order: ordered, and everything that starts with ordered.
//   - identity: interface, group, version, application, side, and what the registry itself uses
//   - where and to whom a provider serves, and what it asks of arguments: scope, injvm, telnet, validation
//   - files: accesslog, cache, file
func Protected(key string) bool {
	for {
		if protected(key) {
			return true
		}
		_, rest, dotted := strings.Cut(key, ".")
		if !dotted {
			return false
		}
		key = rest // sayHello.token is token
	}
}

func protected(key string) bool {
	for _, prefix := range []string{"tls.", "ssl.", "auth.", "registry.", "idempotent.", "ordered."} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	switch key {
	case "token", "username", "password", "tls", "ssl", "ssl-enabled", "auth",
		"serialization", "prefer.serialization", "optimizer", "codec", "payload", "queue",
		"protocol", "transport", "transporter", "client", "server", "url", "host", "port", "bind.ip", "bind.port", "proxy", "generic", "generic.invoke",
		"filter", "reference.filter", "service.filter", "side.filter", "listener", "invoker.listener", "exporter.listener",
		"accepts", "connection.calls", "connection.executes", "frame.timeout", "handshake.timeout", "write.stall", "heartbeat.timeout", "threads",
		"queues", "idempotent", "ordered", "interface", "path", "group", "version", "application", "remote.application", "side", "category", "dynamic",
		"timestamp", "registry", "register", "accesslog", "cache", "file",
		"scope", "injvm", "validation", "telnet", "telnet.foreign":
		return true
	}
	return false
}
