package lock

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/ferryrpc/ferry/internal/zk"
)

// An Incarnation names one life of an ensemble's data: random, made by the first client that finds none. Tokens begin anew
// after the data was wiped.
type Incarnation [16]byte

// String returns 32 hex digits.
func (i Incarnation) String() string { return hex.EncodeToString(i[:]) }

// A Fence says which grant of a lock somebody acts under. Later grants of one lock have larger tokens, also over changes of
// the ensemble's leader and after the lock's node was deleted and made again. Readers who hold an RWMutex together have
// tokens in no particular order; those of writers are larger than of every reader before.
type Fence struct {
	Incarnation Incarnation
	Token       int64 // transaction that created the holder's node
}

// String returns a text that ParseFence reads.
func (f Fence) String() string {
	return f.Incarnation.String() + ":" + strconv.FormatInt(f.Token, 10)
}

// ParseFence reads what String wrote.
func ParseFence(text string) (Fence, error) {
	var f Fence
	life, token, found := strings.Cut(text, ":")
	if !found || len(life) != 2*len(f.Incarnation) {
		return Fence{}, fmt.Errorf("lock: fence %q: want %d hex digits, a colon and a number", shorten(text), 2*len(f.Incarnation))
	}
	if _, err := hex.Decode(f.Incarnation[:], []byte(life)); err != nil {
		return Fence{}, fmt.Errorf("lock: fence %q: %w", shorten(text), err)
	}
	var err error
	if f.Token, err = strconv.ParseInt(token, 10, 64); err != nil || f.Token <= 0 {
		return Fence{}, fmt.Errorf("lock: fence %q: the token must be a positive number", shorten(text))
	}
	return f, nil
}

func shorten(text string) string {
	if len(text) > 64 {
		return text[:64] + "…"
	}
	return text
}

// FenceKey is the key of a context's value of type *Fence: what the call that has the context runs under. Who owns something for a
// call, such as its place in an order, answers to it, so that what lies behind refuses who was overtaken.
type FenceKey struct{}

// FenceFrom returns the fence under which the call of ctx runs: the zero Fence when there is none.
func FenceFrom(ctx context.Context) Fence {
	if f, ok := ctx.Value(FenceKey{}).(*Fence); ok {
		return *f
	}
	return Fence{}
}

// A Gate stands before a resource and refuses who was overtaken. Present must be called, with the resource locked against
// others, on the first read of a section as well as on every write: a fence that is checked on writes alone lets a stale
// holder's successor read what that holder then overwrites. The zero value is ready to use, takes the first incarnation that
// it sees for its own, and is safe from any number of goroutines.
type Gate struct {
	mu      sync.Mutex // guards the following
	highest Fence
}

// Present records a fence. It returns ErrFenced when a larger one was presented before, and ErrIncarnation when it is of another
// incarnation than the one that is accepted.
func (g *Gate) Present(f Fence) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case f.Token <= 0:
		return fmt.Errorf("lock: gate: %w: no fence was given", ErrFenced)
	case g.highest.Incarnation != Incarnation{} && f.Incarnation != g.highest.Incarnation:
		return fmt.Errorf("lock: gate: %w %s, accepted is %s", ErrIncarnation, f.Incarnation, g.highest.Incarnation)
	case f.Token < g.highest.Token:
		return fmt.Errorf("lock: gate: %w: token %d, %d was presented", ErrFenced, f.Token, g.highest.Token)
	}
	g.highest = f
	return nil
}

// Highest returns the largest fence that was presented, to be stored with the resource.
func (g *Gate) Highest() Fence {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.highest
}

// Accept sets the largest fence that was presented: what was stored with the resource, or, by an operator's decision after
// the ensemble's data was lost, a fence of the new incarnation.
func (g *Gate) Accept(f Fence) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.highest = f
}

// Incarnation returns the incarnation of the ensemble's data and makes one where there is none. It waits until ctx ends.
func (c *Client) Incarnation(ctx context.Context) (Incarnation, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	gen, err := c.zk.Session(ctx)
	if err == nil {
		var life Incarnation
		if life, err = c.incarnation(ctx, gen); err == nil {
			return life, nil
		}
	}
	return Incarnation{}, c.fault("incarnation", "", err)
}

// incarnation reads the incarnation once in each generation: whoever wipes the data ends all sessions.
func (c *Client) incarnation(ctx context.Context, gen *zk.Generation) (Incarnation, error) {
	c.lives.Lock()
	if c.life == gen {
		defer c.lives.Unlock()
		return c.known, nil
	}
	c.lives.Unlock()
	life, err := IncarnationOf(ctx, c.zk)
	if err != nil {
		return Incarnation{}, err
	}
	if c.expected != "" && life.String() != c.expected {
		return Incarnation{}, fmt.Errorf("%w: the servers' data is of %s, wanted is %s", ErrIncarnation, life, c.expected)
	}
	c.lives.Lock()
	defer c.lives.Unlock()
	if gen.Alive() { // otherwise it may have been read before the session ended and the data was wiped
		c.life, c.known = gen, life
	}
	return life, nil
}

// IncarnationOf reads the incarnation of an ensemble's data and makes one where there is none, for recipes with a session of their
// own. It may be kept for as long as the session's generation lasts.
func IncarnationOf(ctx context.Context, z *zk.Client) (life Incarnation, err error) {
	for {
		data, _, err := z.Get(ctx, incarnationNode, nil)
		if err == nil {
			if n, err := hex.Decode(life[:], data[:min(len(data), 2*len(life))]); err != nil || n != len(life) || len(data) != 2*len(life) {
				return life, fmt.Errorf("%w: %s holds %q", ErrIncarnation, incarnationNode, shorten(string(data)))
			}
			return life, nil
		}
		if !errors.Is(err, zk.ErrNoNode) {
			return life, err
		}
		_, _ = rand.Read(life[:]) // never fails
		_, err = z.Create(ctx, zk.Node{Path: incarnationNode, Data: []byte(life.String()), Parents: true})
		if err != nil && !errors.Is(err, zk.ErrNodeExists) && !errors.Is(err, zk.ErrConnectionLost) {
			return life, err
		}
	}
}
