package com.ferry.interop;

import java.io.Serializable;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/** A field of every type. */
public class Everything implements Serializable {
    private static final long serialVersionUID = 1L;
    public boolean z;
    public byte b;
    public short s;
    public char c;
    public int i;
    public long j;
    public double d;
    public Boolean boxedZ;
    public Byte boxedB;
    public Short boxedS;
    public Character boxedC;
    public Integer boxedI;
    public Long boxedJ;
    public Float boxedF;
    public Double boxedD;
    public String text;
    public byte[] bytes;
    public int[] ints;
    public long[][] grid;
    public String[] strings;
    public Person[] people;
    public List<String> list;
    public List<Long> longs;
    public Set<Integer> set;
    public Map<String, Integer> map;
    public Map<Color, Long> byColor;
    public Person person;
    public Color color;
    public Date date;
    public LocalDate localDate;
    public LocalTime localTime;
    public LocalDateTime localDateTime;
    public Instant instant;
    public Duration duration;
    public BigDecimal decimal;
    public BigInteger big;
    public UUID uuid;
    public Object any;
}
