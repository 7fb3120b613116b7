package peer

import (
	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo/ferrypb"
	echothrift "github.com/ferryrpc/ferry/benchmarks/peers/echo/kitexthrift"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo/pb"
)

func toPB(m *echo.Message) *pb.Message {
	return &pb.Message{Id: m.ID, Name: m.Name, Payload: m.Payload}
}

func fromPB(m *echo.Message, p *pb.Message) {
	m.ID, m.Name, m.Payload = p.Id, p.Name, p.Payload
}

func toThrift(m *echo.Message) *echothrift.Message {
	return &echothrift.Message{Id: m.ID, Name: m.Name, Payload: m.Payload}
}

func recordsPB(list []echo.Record) *pb.Records {
	out := &pb.Records{List: make([]*pb.Record, len(list))}
	for i := range list {
		r := &list[i]
		out.List[i] = &pb.Record{
			Id: r.ID, Created: r.Created, Updated: r.Updated, Owner: r.Owner,
			Version: r.Version, Kind: r.Kind, Quantity: r.Quantity, Active: r.Active, Hidden: r.Hidden,
			Price: r.Price, Weight: r.Weight, Score: r.Score,
			Name: r.Name, Title: r.Title, Country: r.Country, Comment: r.Comment,
			Digest: r.Digest, Tags: r.Tags, Related: r.Related, Labels: r.Labels,
		}
	}
	return out
}

func recordsThrift(list []echo.Record) *echothrift.Records {
	out := &echothrift.Records{List: make([]*echothrift.Record, len(list))}
	for i := range list {
		r := &list[i]
		out.List[i] = &echothrift.Record{
			Id: r.ID, Created: r.Created, Updated: r.Updated, Owner: r.Owner,
			Version: r.Version, Kind: r.Kind, Quantity: r.Quantity, Active: r.Active, Hidden: r.Hidden,
			Price: r.Price, Weight: r.Weight, Score: r.Score,
			Name: r.Name, Title: r.Title, Country: r.Country, Comment: r.Comment,
			Digest: r.Digest, Tags: r.Tags, Related: r.Related, Labels: r.Labels,
		}
	}
	return out
}

func recordsFerry(list []echo.Record) *ferrypb.Records {
	out := &ferrypb.Records{List: make([]*ferrypb.Record, len(list))}
	for i := range list {
		r := &list[i]
		out.List[i] = &ferrypb.Record{
			Id: r.ID, Created: r.Created, Updated: r.Updated, Owner: r.Owner,
			Version: r.Version, Kind: r.Kind, Quantity: r.Quantity, Active: r.Active, Hidden: r.Hidden,
			Price: r.Price, Weight: r.Weight, Score: r.Score,
			Name: r.Name, Title: r.Title, Country: r.Country, Comment: r.Comment,
			Digest: r.Digest, Tags: r.Tags, Related: r.Related, Labels: r.Labels,
		}
	}
	return out
}
