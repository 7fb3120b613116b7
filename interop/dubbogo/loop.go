package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// endless is when a call counts as one that does not end. dubbo-go was seen not to return from one whose connection was closed.
const endless = 15 * time.Second

// loops has n callers call until they are told to stop.
func (x *caller) loops(n int) {
	x.stop, x.done = make(chan struct{}), make(chan struct{})
	x.callers.Add(n)
	for range n {
		go x.loop()
	}
	go func() {
		x.callers.Wait()
		close(x.done)
	}()
}

func (x *caller) loop() {
	defer x.callers.Done()
	for {
		select {
		case <-x.stop:
			return
		case <-time.After(time.Millisecond):
		}
		who, err := x.recovered()
		if err == nil && who == "" { // what dubbo-go's provider answers without having made the call, when it ends
			err = errors.New("the answer is empty")
		}
		x.mu.Lock()
		x.made++
		if errors.Is(err, errPanic) {
			x.panicked++
			fmt.Fprintln(os.Stderr, err)
		} else if err != nil {
			x.failed, x.last = x.failed+1, err.Error()
		} else {
			x.seen[who]++
		}
		x.mu.Unlock()
	}
}

var errPanic = errors.New("dubbo-go panicked")

// recovered calls who. dubbo-go was seen to panic in a call that failed whose provider it had just forgotten.
func (x *caller) recovered() (who string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	return x.who()
}

// ends stops the callers and says what they saw.
func (x *caller) ends() {
	close(x.stop)
	never := 0
	select {
	case <-x.done:
	case <-time.After(endless):
		never = 1
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if never > 0 {
		x.last = fmt.Sprintf("a call has not ended within %v", endless)
	}
	if x.panicked > 0 {
		say("PANICKED %d", x.panicked)
	}
	say("LOOP %d %d %s %s", x.made, x.failed+never, strings.ReplaceAll(strings.ReplaceAll(fmt.Sprint(x.seen), " ", ","), ":", "="), x.last)
}

// await waits for an answer of a provider, for as long as a consumer may take to hear of it.
func (x *caller) await(provider string) {
	const patience = 30 * time.Second
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		x.mu.Lock()
		n := x.seen[provider]
		x.mu.Unlock()
		if n > 0 {
			return
		}
	}
	say("MISSED %s", provider)
}

// more waits until so many more calls have ended, unless one fails or does not end.
func (x *caller) more(count string) {
	n, _ := strconv.Atoi(count)
	calls := func() (made, failed int) {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.made, x.failed
	}
	start, _ := calls()
	for end := time.Now().Add(endless); time.Now().Before(end); time.Sleep(time.Millisecond) {
		made, failed := calls()
		if failed > 0 {
			break
		}
		if made >= start+n {
			return
		}
	}
	say("FAILED")
}

// picks says who answers for each of so many keys.
func (x *caller) picks(count string) string {
	n, _ := strconv.Atoi(count)
	all := make([]string, n)
	for i := range all {
		if err := x.call(context.Background(), "whoFor", &all[i], fmt.Sprint("key-", i)); err != nil {
			return "failed: " + err.Error()
		}
	}
	return strings.Join(all, ",")
}
