package prototest_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ferryrpc/ferry/internal/gen/gentest/prototest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/protobuf"
)

// gnet, which package ferry brings along, starts goroutines before main.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// random returns a message whose fields are there or not by chance.
func random(r *rand.Rand, depth int) *prototest.Everything {
	m := &prototest.Everything{}
	yes := func() bool { return r.IntN(2) == 0 }
	i64 := func() int64 { return int64(r.Uint64()) >> r.IntN(64) }
	text := func() string { return []string{"", "a", "Ünï 😀", string(make([]byte, 130))}[r.IntN(4)] }
	raw := func() []byte { return [][]byte{nil, {}, {0, 255}, make([]byte, 300)}[r.IntN(4)] }
	kind := func() prototest.Kind { return prototest.Kind(r.IntN(5) - 2) }
	f64 := func() float64 {
		return []float64{0, math.Copysign(0, -1), 1.5, math.Inf(1), -math.MaxFloat64}[r.IntN(5)]
	}
	m.Flag, m.I32, m.S32, m.U32 = yes(), int32(i64()), int32(i64()), uint32(i64())
	m.I64, m.S64, m.U64 = i64(), i64(), uint64(i64())
	m.F32, m.Sf32, m.F64, m.Sf64 = uint32(i64()), int32(i64()), uint64(i64()), i64()
	m.Single, m.Double, m.Text, m.Raw, m.Kind = float32(f64()), f64(), text(), raw(), kind()
	for range r.IntN(4) {
		m.Ints, m.Zigs, m.Doubles = append(m.Ints, int32(i64())), append(m.Zigs, i64()), append(m.Doubles, f64())
		m.Texts, m.Raws, m.Kinds = append(m.Texts, text()), append(m.Raws, append([]byte{}, raw()...)), append(m.Kinds, kind())
		m.Loose, m.Flags, m.Fixed, m.Singles = append(m.Loose, int32(i64())), append(m.Flags, yes()), append(m.Fixed, uint32(i64())), append(m.Singles, float32(f64()))
		m.TimesList = append(m.TimesList, &timestamppb.Timestamp{Seconds: i64()})
	}
	if yes() {
		m.Counts, m.Blobs, m.KindMap = map[string]int64{"a": i64(), "": 0}, map[bool][]byte{true: {1}, false: {}}, map[string]prototest.Kind{"k": kind()}
		m.Times = map[string]*timestamppb.Timestamp{"t": {Seconds: i64()}, "zero": {}}
	}
	if yes() {
		m.OptI32, m.OptText, m.OptRaw, m.OptKind, m.OptFlag, m.OptDouble = proto.Int32(int32(i64())), proto.String(text()), []byte{}, kind().Enum(), proto.Bool(yes()), proto.Float64(f64())
		m.At, m.Nested = timestamppb.New(timestamppb.Now().AsTime()), &prototest.Everything_Nested{Inner: text()}
		m.Choice = &prototest.Choice{What: &prototest.Choice_Text{Text: text()}}
	}
	if depth > 0 && yes() {
		m.Self, m.Selves = random(r, depth-1), []*prototest.Everything{random(r, depth-1), {}}
		m.Nodes = map[int32]*prototest.Everything{int32(i64()): random(r, depth-1), 0: {}}
	}
	return m
}

// TestAgainstProtobuf: the fast paths read what protobuf-go writes and the reverse; without maps the bytes are the same.
func TestAgainstProtobuf(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		m := random(r, 2)
		ours, err := m.AppendProto([]byte("x"))
		require.NoError(t, err)
		theirs, err := proto.Marshal(m)
		require.NoError(t, err)
		require.Len(t, ours, len(theirs)+1)

		var a, b prototest.Everything
		require.NoError(t, proto.Unmarshal(ours[1:], &a))
		require.True(t, proto.Equal(m, &a))
		require.NoError(t, b.UnmarshalProto(theirs))
		require.True(t, proto.Equal(m, &b))
		for i := range theirs {
			theirs[i] = 0xff
		}
		require.True(t, proto.Equal(m, &b), "nothing aliases the input")

		m.Counts, m.Nodes, m.Blobs, m.KindMap, m.Times = nil, nil, nil, nil, nil
		if m.Self == nil {
			ours, _ = m.AppendProto(nil)
			theirs, _ = proto.Marshal(m)
			require.Equal(t, theirs, ours)
		}
	}
}

// TestUnknownFields are kept, wherever they stand.
func TestUnknownFields(t *testing.T) {
	in := protowire.AppendTag(nil, 1, protowire.Fixed64Type) // the field is a string: another type makes it unknown
	in = protowire.AppendFixed64(in, 7)
	in = protowire.AppendString(protowire.AppendTag(in, 1, protowire.BytesType), "Mia")
	in = protowire.AppendVarint(protowire.AppendTag(in, 1000, protowire.VarintType), 5)
	var ours, theirs prototest.GreetRequest
	require.NoError(t, ours.UnmarshalProto(in))
	require.NoError(t, proto.Unmarshal(in, &theirs))
	require.True(t, proto.Equal(&theirs, &ours))
	require.Equal(t, "Mia", ours.GetName())
	b, err := ours.AppendProto(nil)
	require.NoError(t, err)
	want, err := proto.Marshal(&theirs)
	require.NoError(t, err)
	require.Equal(t, want, b)
	require.NoError(t, ours.UnmarshalProto(nil))
	require.True(t, proto.Equal(&prototest.GreetRequest{}, &ours), "reading replaces what was there")
}

func TestInvalidText(t *testing.T) {
	m := &prototest.GreetRequest{Name: "\xff"}
	_, err := m.AppendProto(nil)
	require.EqualError(t, err, "ferry.test.GreetRequest.name: string with invalid UTF-8")
	require.EqualError(t, m.UnmarshalProto([]byte{10, 1, 0xff}), "ferry.test.GreetRequest.name: string with invalid UTF-8")
}

func TestNil(t *testing.T) {
	b, err := (*prototest.Everything)(nil).AppendProto([]byte{1})
	require.NoError(t, err)
	require.Equal(t, []byte{1}, b)
	_, fast := any(&prototest.Choice{}).(protobuf.Marshaler)
	require.False(t, fast, "a oneof is left to protobuf-go")
}

// FuzzUnmarshal: the fast path and protobuf-go take the same inputs and read the same from them.
func FuzzUnmarshal(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		b, err := proto.Marshal(random(r, 1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var ours, theirs prototest.Everything
		err := proto.Unmarshal(b, &theirs)
		if err != nil {
			require.Error(t, ours.UnmarshalProto(b), "protobuf-go says: %v", err)
			return
		}
		require.NoError(t, ours.UnmarshalProto(b))
		back, err := proto.MarshalOptions{Deterministic: true}.Marshal(&ours)
		require.NoError(t, err)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(&theirs)
		require.NoError(t, err)
		require.Equal(t, want, back)
	})
}

type chat struct{ prototest.Chat }

func (chat) Greet(_ context.Context, in *prototest.GreetRequest) (*prototest.GreetReply, error) {
	return &prototest.GreetReply{Text: fmt.Sprint("hello ", in.GetName(), in.GetTimes())}, nil
}

func (chat) Store(_ context.Context, in *prototest.Everything) (*prototest.Everything, error) {
	return in, nil
}

// loopback carries a call over bytes.
func loopback(s serialize.Serializer) protocol.Invoker {
	carry := func(from, to protocol.Row) error {
		w := s.Writer(nil)
		defer w.Free()
		if err := w.Write(from); err != nil {
			return err
		}
		r := s.Reader(w.Bytes(), serialize.Limits{})
		defer r.Free()
		return r.Read(to)
	}
	return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
		in := c.Method.New()
		defer c.Method.Free(in)
		if err := carry(c.Args, in.Args); err != nil {
			return err
		}
		if err := c.Method.Serve(ctx, chat{}, in); err != nil {
			return err
		}
		return carry(in.Reply, c.Reply)
	})
}

func TestCall(t *testing.T) {
	client := prototest.NewChat(loopback(protobuf.New(nil)))
	reply, err := client.Greet(context.Background(), &prototest.GreetRequest{Name: "Mia", Times: 3})
	require.NoError(t, err)
	require.Equal(t, "hello Mia3", reply.GetText())
	reply, err = client.Greet(context.Background(), nil)
	require.NoError(t, err)
	require.Equal(t, "hello 0", reply.GetText())
	in := random(rand.New(rand.NewPCG(5, 6)), 2)
	out, err := client.Store(context.Background(), in)
	require.NoError(t, err)
	require.True(t, proto.Equal(in, out))
}

func TestService(t *testing.T) {
	require.Equal(t, "ferry.test.Chat", prototest.ChatService.Name)
	var kinds []protocol.Kind
	for _, m := range prototest.ChatService.Methods {
		kinds = append(kinds, m.Kind)
	}
	require.Equal(t, []protocol.Kind{protocol.Unary, protocol.Unary, protocol.ServerStream, protocol.ClientStream, protocol.BidiStream}, kinds)
	greet := prototest.ChatService.Methods[0]
	require.Equal(t, "Greet", greet.RPC)
	require.Equal(t, "greet", greet.Name)
	require.Equal(t, "Lcom/example/chat/GreetRequest;", greet.Descriptor)
	require.True(t, greet.Idempotent)
	require.False(t, prototest.ChatService.Methods[1].Idempotent)

	c := greet.New()
	c.Args.At(0).(*prototest.GreetRequest).Name = "a"
	row := greet.Clone(c.Args)
	c.Args.At(0).(*prototest.GreetRequest).Name = "b"
	require.Equal(t, "a", row.At(0).(*prototest.GreetRequest).GetName())
	greet.Free(c)
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates
	}
	m := &prototest.Everything{Text: "x", I64: 5, Ints: []int32{1, 2, 300}, Self: &prototest.Everything{Text: "y", Counts: map[string]int64{"a": 1}}}
	buf := make([]byte, 0, 1024)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := m.AppendProto(buf); err != nil {
			panic(err)
		}
	}))
}
