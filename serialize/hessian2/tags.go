package hessian2

// The first byte of a value; a range is given by its first member.
const (
	tagString     = 0x00 // ..0x1f: string of that many UTF-16 units
	tagBinary     = 0x20 // ..0x2f: binary of that many bytes
	tagString10   = 0x30 // ..0x33: string, 10-bit length
	tagBinary10   = 0x34 // ..0x37: binary, 10-bit length
	tagLong19     = 0x38 // ..0x3f: long in three bytes
	tagChunkBin   = 'A'
	tagBinary16   = 'B'
	tagClass      = 'C'
	tagDouble     = 'D'
	tagFalse      = 'F'
	tagMap        = 'H'
	tagInt        = 'I'
	tagDateMillis = 0x4a
	tagDateMins   = 0x4b
	tagLong       = 'L'
	tagMapTyped   = 'M'
	tagNull       = 'N'
	tagObject     = 'O'
	tagRef        = 0x51
	tagChunkStr   = 'R'
	tagString16   = 'S'
	tagTrue       = 'T'
	tagVarTyped   = 0x55
	tagListTyped  = 'V'
	tagVarList    = 0x57
	tagList       = 0x58
	tagLong32     = 0x59
	tagEnd        = 'Z'
	tagDouble0    = 0x5b
	tagDouble1    = 0x5c
	tagDouble8    = 0x5d
	tagDouble16   = 0x5e
	tagDoubleMill = 0x5f
	tagInstance   = 0x60 // ..0x6f: object of class 0..15
	tagListTyped0 = 0x70 // ..0x77: typed list of 0..7
	tagList0      = 0x78 // ..0x7f: untyped list of 0..7
	zeroInt       = 0x90 // 0x80..0xbf: int -16..47
	zeroInt12     = 0xc8 // 0xc0..0xcf: int in two bytes
	zeroInt19     = 0xd4 // 0xd0..0xd7: int in three bytes
	zeroLong      = 0xe0 // 0xd8..0xef: long -8..15
	zeroLong12    = 0xf8 // 0xf0..0xff: long in two bytes
	zeroLong19    = 0x3c
)

const (
	chunkUnits = 0x8000 // UTF-16 units in one chunk of a string, as Java does it
	chunkBytes = 0xffff // bytes in one chunk of a binary
)

func isString(b byte) bool {
	return b < tagBinary || b >= tagString10 && b < tagBinary10 || b == tagString16 || b == tagChunkStr
}

func isBinary(b byte) bool {
	return b >= tagBinary && b < tagString10 || b >= tagBinary10 && b < tagLong19 || b == tagBinary16 || b == tagChunkBin
}

func isList(b byte) bool {
	return b >= tagListTyped0 && b <= 0x7f || b == tagListTyped || b == tagList || b == tagVarTyped || b == tagVarList
}

func isContainer(b byte) bool {
	return b >= tagInstance && b < 0x80 || b == tagMap || b == tagMapTyped || b == tagObject || b == tagClass || isList(b)
}
