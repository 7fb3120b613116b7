package hessian2

import "time"

// The types below have codecs as the generator writes them.

type order struct {
	ID                            int64
	Number                        string
	Customer                      *customer
	Ship                          customer
	Lines                         []line
	Notes                         []string
	Labels                        map[string]string
	Total, Tax                    float64
	Paid, Gift                    bool
	Count, Priority, State, Kind_ int32
	Weight                        int64
	Created                       time.Time
	Payload                       []byte
	Codes                         []int64
	Extra                         any
}

type customer struct {
	ID     int64
	Name   string
	Parent *customer
}

type line struct {
	SKU    string
	Amount int32
	Price  float64
}

var (
	classOrder = NewClass("com.example.Order", "id", "number", "customer", "ship", "lines", "notes", "labels", "total", "tax", "paid", "gift",
		"count", "priority", "state", "kind", "weight", "created", "payload", "codes", "extra")
	classCustomer = NewClass("com.example.Customer", "id", "name", "parent")
	classLine     = NewClass("com.example.Line", "sku", "amount", "price")
)

func (v *order) MarshalHessian2(w *Writer) error {
	w.Object(classOrder)
	w.Long(v.ID)
	w.String(v.Number)
	if v.Customer == nil {
		w.Null()
	} else if !w.Seen(v.Customer) {
		if err := v.Customer.MarshalHessian2(w); err != nil {
			return err
		}
	}
	if err := v.Ship.MarshalHessian2(w); err != nil {
		return err
	}
	if v.Lines == nil {
		w.Null()
	} else {
		w.List("", len(v.Lines))
		for i := range v.Lines {
			if err := v.Lines[i].MarshalHessian2(w); err != nil {
				return err
			}
		}
	}
	w.Strings(v.Notes)
	w.StringMap(v.Labels)
	w.Double(v.Total)
	w.Double(v.Tax)
	w.Bool(v.Paid)
	w.Bool(v.Gift)
	w.Int(v.Count)
	w.Int(v.Priority)
	w.Int(v.State)
	w.Int(v.Kind_)
	w.Long(v.Weight)
	w.Date(v.Created)
	w.Binary(v.Payload)
	if v.Codes == nil {
		w.Null()
	} else {
		w.List("[long", len(v.Codes))
		for i := range v.Codes {
			w.Long(v.Codes[i])
		}
	}
	return w.Value(v.Extra)
}

func (v *order) UnmarshalHessian2(r *Reader) error {
	fields, ok := r.Object(classOrder)
	for _, f := range fields {
		switch f {
		case 0:
			v.ID = r.Long()
		case 1:
			v.Number = r.String()
		case 2:
			v.Customer = Pointer[customer](r)
		case 3:
			r.Fail(v.Ship.UnmarshalHessian2(r))
		case 4:
			n, _ := r.List()
			v.Lines = Make[line](r, n)
			for i := 0; r.Next(i, n); i++ {
				r.Fail(v.Lines[i].UnmarshalHessian2(r))
			}
		case 5:
			v.Notes = r.Strings()
		case 6:
			v.Labels = r.StringMap()
		case 7:
			v.Total = r.Double()
		case 8:
			v.Tax = r.Double()
		case 9:
			v.Paid = r.Bool()
		case 10:
			v.Gift = r.Bool()
		case 11:
			v.Count = r.Int()
		case 12:
			v.Priority = r.Int()
		case 13:
			v.State = r.Int()
		case 14:
			v.Kind_ = r.Int()
		case 15:
			v.Weight = r.Long()
		case 16:
			v.Created = r.Date()
		case 17:
			v.Payload = r.Binary()
		case 18:
			n, _ := r.List()
			v.Codes = Make[int64](r, n)
			for i := 0; r.Next(i, n); i++ {
				v.Codes[i] = r.Long()
			}
		case 19:
			v.Extra = r.Any()
		default:
			r.Skip()
		}
	}
	if ok {
		r.EndObject()
	}
	return r.Err()
}

func (v *customer) MarshalHessian2(w *Writer) error {
	w.Object(classCustomer)
	w.Long(v.ID)
	w.String(v.Name)
	if v.Parent == nil {
		w.Null()
	} else if !w.Seen(v.Parent) {
		if err := v.Parent.MarshalHessian2(w); err != nil {
			return err
		}
	}
	return nil
}

func (v *customer) UnmarshalHessian2(r *Reader) error {
	fields, ok := r.Object(classCustomer)
	for _, f := range fields {
		switch f {
		case 0:
			v.ID = r.Long()
		case 1:
			v.Name = r.String()
		case 2:
			v.Parent = Pointer[customer](r)
		default:
			r.Skip()
		}
	}
	if ok {
		r.EndObject()
	}
	return r.Err()
}

func (v *line) MarshalHessian2(w *Writer) error {
	w.Object(classLine)
	w.String(v.SKU)
	w.Int(v.Amount)
	w.Double(v.Price)
	return nil
}

func (v *line) UnmarshalHessian2(r *Reader) error {
	fields, ok := r.Object(classLine)
	for _, f := range fields {
		switch f {
		case 0:
			v.SKU = r.String()
		case 1:
			v.Amount = r.Int()
		case 2:
			v.Price = r.Double()
		default:
			r.Skip()
		}
	}
	if ok {
		r.EndObject()
	}
	return r.Err()
}

// placeArgs are the arguments of a method, as the generator writes them: a Row with a fast path.
type placeArgs struct {
	Order *order
	Dry   bool
}

func (a *placeArgs) Len() int { return 2 }

func (a *placeArgs) At(i int) any {
	switch i {
	case 0:
		return &a.Order
	case 1:
		return &a.Dry
	}
	return nil
}

func (a *placeArgs) MarshalHessian2(w *Writer) error {
	if a.Order == nil {
		w.Null()
	} else if !w.Seen(a.Order) {
		if err := a.Order.MarshalHessian2(w); err != nil {
			return err
		}
	}
	w.Bool(a.Dry)
	return nil
}

func (a *placeArgs) UnmarshalHessian2(r *Reader) error {
	a.Order = Pointer[order](r)
	a.Dry = r.Bool()
	return r.Err()
}

// orderByReflection has the same fields and no generated code.
type orderByReflection struct {
	ID                           int64
	Number                       string
	Customer                     *customerByReflection
	Ship                         customerByReflection
	Lines                        []lineByReflection
	Notes                        []string
	Labels                       map[string]string
	Total, Tax                   float64
	Paid, Gift                   bool
	Count, Priority, State, Kind int32
	Weight                       int64
	Created                      time.Time
	Payload                      []byte
	Codes                        []int64 `java:"codes,array"`
	Extra                        any
}

func (orderByReflection) JavaClassName() string { return "com.example.Order" }

type customerByReflection struct {
	ID     int64
	Name   string
	Parent *customerByReflection
}

func (customerByReflection) JavaClassName() string { return "com.example.Customer" }

type lineByReflection struct {
	SKU    string
	Amount int32
	Price  float64
}

func (lineByReflection) JavaClassName() string { return "com.example.Line" }

func sampleOrder(lines int) *order {
	c := &customer{ID: 7, Name: "Ann Müller", Parent: &customer{ID: 8, Name: "the firm"}}
	o := &order{
		ID: 123456789012, Number: "2026-000123", Customer: c, Ship: customer{ID: 9, Name: "杭州", Parent: c},
		Notes: []string{"fragile", "call first"}, Labels: map[string]string{"channel": "web"}, Total: 99.95, Tax: 1.0 / 3,
		Paid: true, Count: 3, Priority: -1, State: 70000, Kind_: 1 << 30, Weight: 1200, Created: time.UnixMilli(1700000000123).UTC(),
		Payload: []byte("payload"), Codes: []int64{1, 2, 3}, Extra: "anything",
	}
	for i := range lines {
		o.Lines = append(o.Lines, line{SKU: "sku-" + string(rune('a'+i%26)), Amount: int32(i), Price: float64(i) * 1.25})
	}
	return o
}
