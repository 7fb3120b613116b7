package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/ferryrpc/ferry/url"
	"github.com/ferryrpc/ferry/zkembed"
)

// An ensemble is ZooKeeper as the shop sees it: it can go away and come back.
type ensemble struct {
	describe string
	registry *url.URL
	leave    func()
	back     func() error
	close    func()
}

func (e *ensemble) url() string { return e.registry.String() }

// openEnsemble starts an embedded server, or a proxy for each server of the registry that was named.
func openEnsemble(s settings, dir string) (*ensemble, error) {
	var e *ensemble
	var err error
	if s.registry == "" {
		e, err = embedded()
	} else {
		e, err = proxied(s.registry)
	}
	if err != nil {
		return nil, err
	}
	e.registry = e.registry.With("session", url.FormatDuration(s.session)).With("cache", filepath.Join(dir, "cache.json"))
	return e, nil
}

func embedded() (*ensemble, error) {
	zk, err := zkembed.Start(zkembed.Options{})
	if err != nil {
		return nil, err
	}
	return &ensemble{describe: "the embedded ZooKeeper, which comes back without its data", registry: url.New("zookeeper", zk.Addr(), ""),
		leave: zk.Stop, back: func() error { return zk.Restart(false) }, close: func() { _ = zk.Close() }}, nil
}

func proxied(registry string) (*ensemble, error) {
	u, err := url.Parse(registry)
	if err != nil {
		return nil, err
	}
	if u.Scheme() != "zookeeper" || len(u.Addresses()) == 0 {
		return nil, fmt.Errorf("registry %s: want zookeeper://host:port", registry)
	}
	var list []*proxy
	e := &ensemble{describe: registry + ", behind a proxy that cuts it off until sessions have expired"}
	e.close = func() { e.leave() }
	e.leave = func() {
		for _, p := range list {
			p.leave()
		}
	}
	e.back = func() error {
		var errs []error
		for _, p := range list {
			errs = append(errs, p.open())
		}
		return errors.Join(errs...)
	}
	address := ""
	for _, target := range u.Addresses() {
		p, err := newProxy(target)
		if err != nil {
			e.leave()
			return nil, err
		}
		list = append(list, p)
		if address != "" {
			address += ","
		}
		address += p.address
	}
	e.registry = u.WithAddress(address)
	return e, nil
}

// A proxy passes bytes between clients and one server, as long as it is there.
type proxy struct {
	address, target string
	wg              sync.WaitGroup

	mu    sync.Mutex   // guards the following
	l     net.Listener // nil while away
	conns map[net.Conn]struct{}
}

// newProxy listens below the ports that systems take for outgoing connections, so that its port is free when it is back.
func newProxy(target string) (*proxy, error) {
	p := &proxy{target: target, conns: map[net.Conn]struct{}{}}
	var err error
	for range 100 {
		p.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(12000+rand.IntN(20000)))
		if err = p.open(); err == nil {
			return p, nil
		}
	}
	return nil, err
}

func (p *proxy) open() error {
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.l = l
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			p.wg.Go(func() { p.pass(c) })
		}
	})
	return nil
}

// leave closes everything and returns when no byte passes any more.
func (p *proxy) leave() {
	p.mu.Lock()
	if p.l != nil {
		_ = p.l.Close()
		p.l = nil
	}
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *proxy) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return // the client sees its connection end
	}
	defer server.Close()
	p.mu.Lock()
	if p.l == nil {
		p.mu.Unlock()
		return
	}
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
	_ = client.Close()
	<-done
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}
